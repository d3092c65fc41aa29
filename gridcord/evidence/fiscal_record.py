"""The fiscal record: what one cable counted in one period, with what makes it provable."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.reading import ClockState
from gridcord.metering.records import TransferRecord
from gridcord.units import CableId, parse_device_id, parse_site_id

_MOST_OFFSET_MIN = 14 * 60
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterIdentity:
    """Which measuring unit counted (OCMF: MV, MM, MS, MF)."""

    vendor: str
    model: str
    serial: str
    firmware: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiscalRecord:
    """What a cable counted in the connected part of one period.

    Args:
        cable_id: The cable (OCMF: GS).
        pagination: Gap-free number of the fiscal records of this journal, >= 1 (PG "F<n>").
        journal_epoch: Lineage of the cable's journal, 64 bits.
        sequence_number: Place in the journal, >= 1; counts entries of every kind.
        meter: The measuring unit.
        firmware: Version of the cable's program (GV).
        transfer: The energy. Its `fiscal_record` is empty; of its position 7 decimals of a degree
            (1 cm), 0.1 m of accuracy and 1 ms are kept.
        utc_offset_min: Offset of the local time in which begin and end are written, minutes.

    Raises:
        ValueError: A register falls, times run backwards or leave the period, UTC is not known
            and neither is the boot, a number is out of bounds, or an identifier is none.
    """

    cable_id: CableId
    pagination: int
    journal_epoch: int
    sequence_number: int
    meter: MeterIdentity
    firmware: str
    transfer: TransferRecord
    utc_offset_min: int = 0

    def __post_init__(self) -> None:
        transfer = self.transfer
        for problem, found in (
            ("numbers start at 1", min(self.pagination, self.sequence_number) < 1),
            ("a journal epoch has 64 bits", not 0 <= self.journal_epoch < 2**64),
            ("one count is at least 1 Wh", transfer.step_wh < 1),
            ("missing seconds are not negative", transfer.missing_s < 0),
            ("registers never fall", not _rising(transfer)),
            ("the record leaves its period", not _inside(transfer)),
            ("neither UTC nor the boot is known", not _timed(transfer)),
            ("no such offset from UTC", abs(self.utc_offset_min) > _MOST_OFFSET_MIN),
            ("a record does not hold its own text", bool(transfer.fiscal_record)),
        ):
            if found:
                raise ValueError(problem)
        for device_id in filter(None, (self.cable_id, transfer.driver_id, transfer.vehicle_id)):
            parse_device_id(device_id)
        for site_id in filter(None, (transfer.site_id, transfer.hems_id)):
            parse_site_id(site_id)


def _rising(transfer: TransferRecord) -> bool:
    charged = transfer.site_to_vehicle_start_wh, transfer.site_to_vehicle_end_wh
    discharged = transfer.vehicle_to_site_start_wh, transfer.vehicle_to_site_end_wh
    return all(0 <= start <= end <= _INT64_MAX for start, end in (charged, discharged))


def _inside(transfer: TransferRecord) -> bool:
    period = transfer.period
    return period.start_s <= transfer.start_s <= transfer.end_s <= period.end_s


def _timed(transfer: TransferRecord) -> bool:
    return transfer.clock_state is not ClockState.UNKNOWN or bool(transfer.boot_id)
