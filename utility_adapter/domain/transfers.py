"""What the manager tells the utility: transfers through cables at sites."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from gridcord.units import CableId, Period, SiteId
from utility_adapter.domain.readings import MAX_WH

TransferKey = tuple[CableId, int, int]  # cable, journal epoch, sequence number


def _check(site_to_vehicle_wh: int, vehicle_to_site_wh: int, revision: int) -> None:
    if not (0 <= site_to_vehicle_wh <= MAX_WH and 0 <= vehicle_to_site_wh <= MAX_WH):
        message = f"a register counts 0 to {MAX_WH} Wh in a period"
        raise ValueError(message)
    if revision < 0:
        message = f"a revision is not negative: {revision}"
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedTransfer:
    """One record of a cable's journal, as far as the utility needs it.

    Args:
        cable_id: The cable.
        journal_epoch: The lineage of its journal, >= 0.
        sequence_number: The number within it, >= 0.
        revision: 0 at first, higher for what replaces it.
        site_id: The site.
        period: The period.
        site_to_vehicle_wh: Charged in the period, Wh, >= 0.
        vehicle_to_site_wh: Discharged in the period, Wh, >= 0.
        received_at_s: When the adapter got it, seconds since 1970 UTC.

    Raises:
        ValueError: Out of bounds.
    """

    cable_id: CableId
    journal_epoch: int
    sequence_number: int
    revision: int
    site_id: SiteId
    period: Period
    site_to_vehicle_wh: int
    vehicle_to_site_wh: int
    received_at_s: float

    def __post_init__(self) -> None:
        _check(self.site_to_vehicle_wh, self.vehicle_to_site_wh, self.revision)

    @property
    def key(self) -> TransferKey:
        """The record it speaks of; several records of one cable and period are legal (replug)."""
        return (self.cable_id, self.journal_epoch, self.sequence_number)

    def states_the_same_as(self, other: ReportedTransfer) -> bool:
        """Whether both say the same, whenever they arrived."""
        return self._statement == other._statement

    @property
    def _statement(self) -> tuple[TransferKey, int, SiteId, Period, int, int]:
        return (
            self.key,
            self.revision,
            self.site_id,
            self.period,
            self.site_to_vehicle_wh,
            self.vehicle_to_site_wh,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodTransfer:
    """Energy of one cable at one site in one period: what a utility settles with.

    Args:
        cable_id: The cable.
        site_id: The site.
        period: The period.
        site_to_vehicle_wh: Charged, Wh, >= 0.
        vehicle_to_site_wh: Discharged, Wh, >= 0.
        step_wh: Both are within this of the truth, Wh, >= 1.
        revision: Rises with every report that is added to the period; 0 for the first.

    Raises:
        ValueError: Out of bounds.
    """

    cable_id: CableId
    site_id: SiteId
    period: Period
    site_to_vehicle_wh: int
    vehicle_to_site_wh: int
    step_wh: int = 1
    revision: int = 0

    def __post_init__(self) -> None:
        _check(self.site_to_vehicle_wh, self.vehicle_to_site_wh, self.revision)
        if self.step_wh < 1:
            message = f"no step of {self.step_wh} Wh"
            raise ValueError(message)

    @property
    def key(self) -> PeriodKey:
        """What it is about."""
        return (self.site_id, self.cable_id, self.period)

    @property
    def transferred_wh(self) -> int:
        """Net energy, Wh: + into the vehicle, - out of it."""
        return self.site_to_vehicle_wh - self.vehicle_to_site_wh


PeriodKey = tuple[SiteId, CableId, Period]


def period_transfers(*, reports: Iterable[ReportedTransfer]) -> tuple[PeriodTransfer, ...]:
    """Sum the records of each cable, site and period, the newest revision of each record.

    The order of arrival does not matter, and of equal revisions the first received stays. A
    record that a correction moved to another site or period leaves zero where it was, so that
    the utility hears of it.

    Returns:
        By site, cable and period.
    """
    by_record: dict[TransferKey, list[ReportedTransfer]] = defaultdict(list)
    for report in reports:
        by_record[report.key].append(report)
    sums: dict[PeriodKey, list[int]] = defaultdict(lambda: [0, 0, -1])
    for others in by_record.values():
        for report in others:
            sums[report.site_id, report.cable_id, report.period][2] += 1
        newest = min(others, key=lambda report: (-report.revision, report.received_at_s))
        total = sums[newest.site_id, newest.cable_id, newest.period]
        total[0] += newest.site_to_vehicle_wh
        total[1] += newest.vehicle_to_site_wh
    return tuple(
        PeriodTransfer(
            cable_id=cable_id,
            site_id=site_id,
            period=period,
            site_to_vehicle_wh=charged,
            vehicle_to_site_wh=discharged,
            revision=revision,
        )
        for (site_id, cable_id, period), (charged, discharged, revision) in sorted(sums.items())
    )
