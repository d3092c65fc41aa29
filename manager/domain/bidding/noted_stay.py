"""Stays as they are noted: who was on an outlet from when on, with which plan.

What is noted of past days is what tomorrow's arrivals are imagined by. Nobody says when a stay
begins: resources are looked at now and then, connections break and come back, and the manager
starts anew. So a stay is told from the next one by what it promises and by how long nobody saw it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gridcord.metering.reading import Permission
from manager.domain.bidding.forecast import PastDays
from manager.domain.bidding.stay import Battery, Stay, Window, window
from manager.domain.records.resource import ResourceState

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedStay:
    """A resource on its outlet, as it was seen there.

    Args:
        resource_id: It.
        area_id: Market area.
        start_s: When it was seen first, seconds since 1970 UTC.
        seen_s: When it was seen last.
        departure_s: When its driver plans to leave; None when that was not told.
        energy_wh: In the battery at `start_s`, Wh.
        target_wh: Wanted at the departure, Wh.
        ceiling_wh: Most energy to hold, Wh.
        reserve_wh: Energy that is never given away, Wh.
        charge_w: Most it could charge with, W, >= 0.
        discharge_w: Most it could discharge with, W, >= 0; 0 where none is permitted.
    """

    resource_id: str
    area_id: str
    start_s: int
    seen_s: int
    departure_s: int | None
    energy_wh: int
    target_wh: int
    ceiling_wh: int
    reserve_wh: int
    charge_w: int
    discharge_w: int

    def stay(self, *, departure_s: int, efficiency_permille: int) -> Stay:
        """It, until a departure after its start, with so much lost one way."""
        battery = Battery(
            ceiling_wh=self.ceiling_wh,
            reserve_wh=self.reserve_wh,
            charge_w=self.charge_w,
            discharge_w=self.discharge_w,
            charge_permille=efficiency_permille,
            discharge_permille=efficiency_permille,
        )
        return Stay(
            battery=battery,
            start_s=self.start_s,
            departure_s=max(departure_s, self.start_s + 1),
            energy_wh=self.energy_wh,
            target_wh=self.target_wh,
            resource_id=self.resource_id,
        )


def noted(resource: ResourceState, *, now_s: int) -> NotedStay | None:
    """A resource that energy can be traded with, as if it came now; None for any other."""
    if not resource.transfer_permitted or resource.permission is Permission.NONE:
        return None
    ceiling_wh = resource.capacity_wh
    if resource.permission is Permission.CHARGE_TO_SOC and resource.charge_to_percent is not None:
        ceiling_wh = int(ceiling_wh * resource.charge_to_percent / 100)
    gives = resource.permission is Permission.BIDIRECTIONAL
    return NotedStay(
        resource_id=resource.resource_id,
        area_id=resource.area_id,
        start_s=now_s,
        seen_s=now_s,
        departure_s=None if resource.departure_s is None else int(resource.departure_s),
        energy_wh=int(resource.capacity_wh * resource.soc_percent / 100),
        target_wh=int(resource.capacity_wh * resource.departure_percent / 100),
        ceiling_wh=ceiling_wh,
        reserve_wh=min(ceiling_wh, int(resource.capacity_wh * resource.reserve_percent / 100)),
        charge_w=resource.charge_limit_w,
        discharge_w=resource.discharge_limit_w if gives else 0,
    )


def continued(before: NotedStay | None, seen: NotedStay, *, gap_s: int) -> NotedStay:
    """What is noted of a resource that is seen now: the stay before goes on, or one begins.

    It goes on when it was seen not long ago, or when it still has the departure before it that
    was planned then: so a manager that was away takes nobody for newly come.

    Args:
        before: Its last stay; None when there is none.
        seen: It now.
        gap_s: Who was not seen for longer had left, where no plan says otherwise.
    """
    if before is None:
        return seen
    same_plan = before.departure_s is not None and before.departure_s == seen.departure_s
    if not same_plan and seen.seen_s - before.seen_s > gap_s:
        return seen
    return replace(
        seen,
        start_s=before.start_s,
        energy_wh=before.energy_wh,
        charge_w=max(before.charge_w, seen.charge_w),  # what is full or limited for now had more
        discharge_w=max(before.discharge_w, seen.discharge_w),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How noted stays become past days.

    Args:
        zone: IANA name of the drivers' time zone, whose midnights part the days.
        days: How many days to look back on.
        length_s: Length of the periods, seconds.
        efficiency_permille: Of energy through the cable, what is stored, and back.
    """

    zone: str
    days: int
    length_s: int
    efficiency_permille: int

    def midnight_s(self, now_s: float) -> int:
        """When the running day began, seconds since 1970 UTC."""
        local = datetime.fromtimestamp(now_s, UTC).astimezone(ZoneInfo(self.zone))
        return int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())

    def past_days(self, stays: Iterable[NotedStay], *, now_s: float) -> PastDays:
        """The days that are known as a whole, and the running one.

        The day of the first stay may have begun before anything was noted: it does not count.
        """
        midnight_s = self.midnight_s(now_s)
        by_day: list[list[Window]] = [[] for _ in range(self.days + 1)]
        known = self.days
        for each in stays:
            day = self.days + (each.start_s - midnight_s) // DAY_S
            known = min(known, day + 1)
            if 0 <= day <= self.days:
                departure_s = each.seen_s if each.departure_s is None else each.departure_s
                stay = each.stay(
                    departure_s=departure_s, efficiency_permille=self.efficiency_permille
                )
                by_day[day].append(window(stay, length_s=self.length_s))
        first = max(known, 0)
        noon_s = midnight_s - (self.days - first) * DAY_S + DAY_S // 2  # whatever the clock change
        weekday = datetime.fromtimestamp(noon_s, UTC).astimezone(ZoneInfo(self.zone)).weekday()
        return PastDays(stays=by_day[first:], weekday=weekday, periods_a_day=DAY_S // self.length_s)

    def day_of(self, end_s: int, *, now_s: float) -> int:
        """Days from the running one to the one that a period ends in."""
        return (end_s - 1 - self.midnight_s(now_s)) // DAY_S
