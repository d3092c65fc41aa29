"""Where cables say they are, against where they can be.

A fix is worth what its accuracy and age allow: the doubt is the cable's, so a bad fix accuses
nobody. What no accuracy explains is a finding: a cable far from the registered place of its site,
two cables that claim one meter from two places, a cable faster than an airliner, and one that
transferred at two sites at once. A finding is about a cable at a site: who forges a claim of
somebody's meter must not keep the host and the other cables there from anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from gridcord.units import Position, SiteId
from manager.domain.trust.site_block import BlockCause

MAX_FIX_AGE_S = 900  # an older fix may be of another place: a cable travels between two plugs
MAX_FIX_AHEAD_S = (
    2_100  # a record's fix may be of its end, and clocks disagree; later ones are none
)
FASTEST_MPS = 250.0  # an airliner
LEAST_OVERLAP_S = 60  # shorter ones are clocks that disagree


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Where a cable was when it said it was at a site.

    Args:
        cable_id: The cable.
        site_id: The site it claimed.
        position: Where it was, with its accuracy.
        at_s: When, seconds since 1970 UTC.
    """

    cable_id: str
    site_id: str
    position: Position
    at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A cable transferred at a site, from start_s to end_s (seconds since 1970 UTC)."""

    cable_id: str
    site_id: str
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionDoubt:
    """Something about positions that cannot be.

    Args:
        cause: The block it leads to.
        cable_id: The cable whose word it puts in doubt.
        sentence: What, for a person.
        at_s: When the later of the facts it rests on was true, seconds since 1970 UTC.
    """

    cause: BlockCause
    cable_id: str
    sentence: str
    at_s: int


Placed = Mapping[str, bool | None]  # by cable: at the registered place; None: nobody can say
NOWHERE: Placed = {}


def is_current(*, position: Position, at_s: int) -> bool:
    """Whether a position tells where the cable was from an instant on, not where it once was."""
    if position.fix_time_s is None:
        return True
    return -MAX_FIX_AHEAD_S <= at_s - position.fix_time_s <= MAX_FIX_AGE_S


def newest_of_each(fixes: Iterable[Fix], /) -> list[Fix]:
    """The newest fix of each cable, newest first."""
    newest: dict[str, Fix] = {}
    for fix in sorted(fixes, key=lambda each: each.at_s):
        newest[fix.cable_id] = fix
    return sorted(newest.values(), key=lambda each: -each.at_s)


def away(
    fixes: Sequence[Fix], /, *, placed: Placed, registered: Position | None
) -> list[PositionDoubt]:
    """Cables that are surely not where their site is registered.

    Args:
        fixes: Of cables that claim the same site.
        placed: Which of them is at the registered place.
        registered: That place; None where it is not told.
    """
    return [
        PositionDoubt(
            cause=BlockCause.LOCATION_MISMATCH,
            cable_id=fix.cable_id,
            sentence=(
                f"the cable {fix.cable_id} is {_where(fix, registered)}"
                " the registered location of this site"
            ),
            at_s=fix.at_s,
        )
        for fix in newest_of_each(fixes)
        if placed.get(fix.cable_id) is False
    ]


def _where(fix: Fix, registered: Position | None) -> str:
    return "not at" if registered is None else f"{fix.position.distance_m(registered):,.0f} m from"


def apart(
    fixes: Sequence[Fix], /, *, tolerance_m: float, placed: Placed = NOWHERE
) -> list[PositionDoubt]:
    """Two cables claim one meter from two places: one of them relays its identity.

    Which one, the registered place tells; where it does not, both are in doubt.

    Args:
        fixes: Of cables that claim the same site.
        tolerance_m: How far from its meter an outlet may be.
        placed: Which of them is at the registered place.
    """
    return [
        PositionDoubt(
            cause=BlockCause.LOCATION_MISMATCH,
            cable_id=doubted.cable_id,
            sentence=(
                f"the cables {one.cable_id} and {other.cable_id} claim this meter"
                f" from places that are {one.position.distance_m(other.position):,.0f} m apart"
            ),
            at_s=max(one.at_s, other.at_s),
        )
        for one, other in combinations(newest_of_each(fixes), 2)
        if _surely_m(one, other) > 2 * tolerance_m
        for doubted in _doubted(one, other, placed)
    ]


def _doubted(one: Fix, other: Fix, placed: Placed) -> list[Fix]:
    """Of two that contradict each other: whom the registered place contradicts, or not clears."""
    pair = (one, other)
    elsewhere = [fix for fix in pair if placed.get(fix.cable_id) is False]
    return elsewhere or [fix for fix in pair if not placed.get(fix.cable_id)]


def impossible_travel(fixes: Sequence[Fix], /, *, site_id: SiteId) -> list[PositionDoubt]:
    """A cable went faster than anything: its position is forged, or it exists twice.

    Args:
        fixes: Of one cable, anywhere.
        site_id: Only travel from or to this site is told.
    """
    doubts = []
    for one, other in pairwise(sorted(fixes, key=lambda each: each.at_s)):
        distance_m, seconds = _surely_m(one, other), other.at_s - one.at_s
        if site_id in (one.site_id, other.site_id) and distance_m > FASTEST_MPS * (seconds + 1):
            sentence = (
                f"the cable {one.cable_id} was at places {distance_m / 1000:,.0f} km apart"
                f" within {seconds:,} s"
            )
            doubt = PositionDoubt(
                cause=BlockCause.CLONE_SUSPECTED,
                cable_id=one.cable_id,
                sentence=sentence,
                at_s=other.at_s,
            )
            doubts.append(doubt)
    return doubts


def two_places(stays: Sequence[Stay], /, *, site_id: SiteId) -> list[PositionDoubt]:
    """A cable transferred at two sites at the same time.

    Args:
        stays: Of one cable, anywhere.
        site_id: Only what touches this site is told.
    """
    doubts = []
    for one, other in combinations(stays, 2):
        overlap_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
        here = site_id in (one.site_id, other.site_id) and one.site_id != other.site_id
        if here and overlap_s >= LEAST_OVERLAP_S:
            elsewhere = other.site_id if one.site_id == site_id else one.site_id
            sentence = (
                f"the cable {one.cable_id} transferred here and at {elsewhere} at the same time"
            )
            doubt = PositionDoubt(
                cause=BlockCause.CLONE_SUSPECTED,
                cable_id=one.cable_id,
                sentence=sentence,
                at_s=min(one.end_s, other.end_s),
            )
            doubts.append(doubt)
    return doubts


def _surely_m(one: Fix, other: Fix) -> float:
    """How far apart two fixes are at least, metres, > 0 only beyond both radii."""
    radii_m = (one.position.accuracy_m or 0.0) + (other.position.accuracy_m or 0.0)
    return one.position.distance_m(other.position) - radii_m
