"""Clusters of similar stays, so that a plan for a large fleet stays small.

Stays that are present over the same periods may be planned as one: their powers and energies add.
What a cluster is to do is then shared among its members by `allocation`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from manager.domain.bidding.stay import Battery, Window

MOST_CLUSTERS = 1000
"""A plan of so many over 48 periods takes about two seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Stays that are planned as one.

    Args:
        members: Their indices.
        window: Their sums.
    """

    members: tuple[int, ...]
    window: Window


def clustered(windows: Sequence[Window], *, most: int = MOST_CLUSTERS) -> tuple[Cluster, ...]:
    """Put similar stays together.

    Args:
        windows: The stays.
        most: How many clusters are wanted at most; there may be more only when more pairs of first
            and last period occur.

    Returns:
        Clusters of the same periods; inside those, of neighbouring energy still needed.
    """
    if len(windows) <= most:
        return tuple(Cluster(members=(i,), window=each) for i, each in enumerate(windows))
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, each in enumerate(windows):
        groups[each.first, each.end].append(index)
    size = -(-len(windows) // max(1, most - len(groups)))
    clusters = []
    for key in sorted(groups):
        members = sorted(groups[key], key=lambda i: (_needed_wh(windows[i]), i))
        for start in range(0, len(members), size):
            part = tuple(members[start : start + size])
            clusters.append(Cluster(members=part, window=_sum([windows[i] for i in part])))
    return tuple(clusters)


def thinned(windows: Sequence[Window], *, most: int) -> tuple[Window, ...]:
    """At most so many stays that stand for all: each n-th in the order of time, n times."""
    times = -(-len(windows) // most)
    if times <= 1:
        return tuple(windows)
    ordered = sorted(windows, key=lambda each: (each.first, each.end, _needed_wh(each)))
    return tuple(_sum([each] * times) for each in ordered[times // 2 :: times])


def _needed_wh(window: Window) -> int:
    return window.promise_wh - window.energy_wh


def _sum(windows: Sequence[Window]) -> Window:
    first = windows[0]
    if len(windows) == 1:
        return first
    batteries = [each.battery for each in windows]
    return Window(
        battery=Battery(
            ceiling_wh=sum(each.ceiling_wh for each in batteries),
            # Those that arrived with less than their reserve keep that.
            reserve_wh=sum(each.kept_wh for each in windows),
            charge_w=sum(each.charge_w for each in batteries),
            discharge_w=sum(each.discharge_w for each in batteries),
            charge_permille=min(each.charge_permille for each in batteries),
            discharge_permille=min(each.discharge_permille for each in batteries),
        ),
        first=first.first,
        charge_wh=sum((each.charge_wh for each in windows[1:]), first.charge_wh),
        discharge_wh=sum((each.discharge_wh for each in windows[1:]), first.discharge_wh),
        reach_wh=sum((each.reach_wh for each in windows[1:]), first.reach_wh),
        energy_wh=sum(each.energy_wh for each in windows),
        promise_wh=sum(each.promise_wh for each in windows),
        missing_wh=sum(each.missing_wh for each in windows),
    )
