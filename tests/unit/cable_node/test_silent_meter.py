"""What a silence of a meter makes of its values, and of the cable's conclusion."""

from __future__ import annotations

import asyncio
import json

import pytest

from cable_node.observer import SiteObserver
from cable_node.settings import SiteSettings
from cable_node.state import Grant, NodeState
from cable_node.transfer_part import transfer_record
from gridcord.metering.matching import HemsCoverage, MatchPolicy
from gridcord.metering.reading import Permission, ReadingQuality, Registers, Verdict
from gridcord.metering.records import SiteObservation
from gridcord.metering.registers import PeriodEnergy, RegisterLimits, period_energies

LENGTH_S = 1800
T0 = 1_795_392_000


class StillClock:
    """A clock that is moved by hand."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def now(self) -> float:
        return self.now_s


def counted(*times_s: float, power_w: int = 1200, max_gap_s: float = 10.0) -> list[PeriodEnergy]:
    """Periods and parts of a meter that was read at these seconds after T0."""
    return period_energies(
        samples=[
            Registers(at_s=T0 + at_s, import_wh=int(power_w * at_s / 3600), export_wh=0)
            for at_s in times_s
        ],
        length_s=LENGTH_S,
        limits=RegisterLimits(max_gap_s=max_gap_s),
    )


def every(first_s: int, last_s: int, step_s: int = 10) -> list[float]:
    return [float(at_s) for at_s in range(first_s, last_s + 1, step_s)]


def test_a_part_that_was_measured_whole_has_no_missing_seconds() -> None:
    """What was not connected is not missing: the vehicle came a quarter of an hour late."""
    (part,) = counted(*every(900, 1800))
    assert part.missing_s == 900
    assert transfer_record(part, final=False).missing_s == 0


def test_seconds_of_a_gap_within_the_connected_part_are_missing() -> None:
    late, whole = counted(*every(900, 1780), *every(1840, 3600))
    assert [transfer_record(part, final=False).missing_s for part in (late, whole)] == [20, 40]
    assert [part.quality for part in (late, whole)] == [ReadingQuality.ESTIMATED] * 2
    assert [part.uncertain_wh for part in (late, whole)] == [9, 17]  # 3 kW for 20 s and 40 s, half
    assert transfer_record(late, final=False).moved.uncertain_wh == 9


@pytest.mark.parametrize(("silent_s", "quality"), [(290, "COMPLETE"), (310, "ESTIMATED")])
def test_a_silence_longer_than_the_setting_is_told(silent_s: int, quality: str) -> None:
    times_s = [*every(0, 1700), *every(1700 + silent_s, 3600)]
    parts = counted(*times_s, max_gap_s=SiteSettings().max_gap_s)
    assert [part.quality.value for part in parts] == [quality] * 2


def concluded(meter: list[PeriodEnergy]) -> tuple[list[SiteObservation], list[str]]:
    """What a cable concludes of a day's first periods in which it moved 500 Wh each."""
    written: list[SiteObservation] = []
    saved: list[str] = []

    async def write(observation: SiteObservation) -> None:
        written.append(observation)

    async def save(text: str) -> None:
        saved.append(text)

    clock = StillClock(T0)
    state = NodeState(grant=Grant(permission=Permission.BIDIRECTIONAL))
    state.site_meter_id = "obis:4530303033"
    observer = SiteObserver(
        state=state,
        clock=clock,  # type: ignore[arg-type]
        policy=MatchPolicy(),
        coverage=HemsCoverage.NONE,
        period_s=LENGTH_S,
        grace_s=0.0,
        write=write,
        save=save,
    )
    for part in meter:
        observer.metered(part)
    for part in counted(*every(0, 6 * LENGTH_S), power_w=1000):
        observer.transferred(part)
    clock.now_s = T0 + 6 * LENGTH_S + 60
    asyncio.run(observer.conclude())
    return written, saved


def test_a_meter_that_was_silent_for_hours_adds_no_evidence() -> None:
    """Its register went on counting, but of the hours in between only the sum is known."""
    steady = counted(*every(0, 6 * LENGTH_S), max_gap_s=300.0)
    silent = counted(0, *every(6 * LENGTH_S - 10, 6 * LENGTH_S), max_gap_s=300.0)
    assert [part.quality for part in silent] == [ReadingQuality.ESTIMATED] * 6
    (read, learnt), (unread, nothing) = concluded(steady), concluded(silent)
    assert [each.readings[0].quality.value for each in read] == ["COMPLETE"] * 6
    assert [each.readings[0].quality.value for each in unread] == ["ESTIMATED"] * 6
    assert {each.match.verdict for each in unread} == {Verdict.INDETERMINATE}
    of_read, of_unread = (json.loads(texts[-1])["matcher"] for texts in (learnt, nothing))
    assert of_read != of_unread
    assert all(each.match.observed_change_wh is not None for each in read)
    first, *between, last = unread
    assert [each.match.observed_change_wh for each in between] == [None] * 4
    assert min(each.match.uncertainty_wh or 0 for each in (first, last)) > 740  # 3 kW, half
