"""Transaction records: one direction of a whole session, for the driver's own check.

Context T lets the published S.A.F.E. program confirm a complete transaction, but only of one
direction: a session gives one record of import and one of export at unplug.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gridcord.evidence.fiscal_record import MeterIdentity
from gridcord.evidence.ocmf_content import (
    kwh,
    meter_identity,
    parse_time,
    reading_declared,
    same_clock,
    text,
)
from gridcord.evidence.ocmf_envelope import OcmfFormatError, render
from gridcord.evidence.ocmf_payload import (
    EXPORT_CODE,
    IMPORT_CODE,
    head,
    reading,
    time_text,
)
from gridcord.metering.reading import ClockState
from gridcord.units import CableId, DriverId, parse_device_id

_PAGINATION = re.compile(r"T([1-9][0-9]{0,17})")


class Direction(StrEnum):
    """Which way the energy of a transaction went."""

    IMPORT = "IMPORT"  # into the vehicle
    EXPORT = "EXPORT"  # out of the vehicle


_CODES = {Direction.IMPORT: IMPORT_CODE, Direction.EXPORT: EXPORT_CODE}
_DIRECTIONS = {code: direction for direction, code in _CODES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRecord:
    """One direction of a session, from plug to unplug.

    Args:
        cable_id: The cable (OCMF: GS).
        pagination: Gap-free number of the cable's transaction records, >= 1 (PG "T<n>").
        meter: The measuring unit.
        firmware: Version of the cable's program (GV).
        driver_id: Whom the session belongs to (ID).
        direction: Which register the record is about.
        begin_s: Plug, seconds since 1970 UTC.
        end_s: Unplug, >= `begin_s`.
        begin_wh: Register at plug, Wh, >= 0.
        end_wh: Register at unplug, Wh, >= `begin_wh`.
        clock_state: What the clock was worth.
        utc_offset_min: Offset of the local time in which both are written, minutes.

    Raises:
        ValueError: Time or register runs backwards, or the number is not positive.
    """

    cable_id: CableId
    pagination: int
    meter: MeterIdentity
    firmware: str
    driver_id: DriverId
    direction: Direction
    begin_s: int
    end_s: int
    begin_wh: int
    end_wh: int
    clock_state: ClockState = ClockState.SYNCED
    utc_offset_min: int = 0

    def __post_init__(self) -> None:
        if self.pagination < 1 or self.end_s < self.begin_s:
            message = "a transaction is numbered from 1 and ends after it begins"
            raise ValueError(message)
        if not 0 <= self.begin_wh <= self.end_wh:
            message = "registers never fall"
            raise ValueError(message)

    @property
    def energy_wh(self) -> int:
        """Energy of the session in this direction, Wh, >= 0."""
        return self.end_wh - self.begin_wh


def transaction_text(record: TransactionRecord) -> str:
    """Write the OCMF payload of a transaction record."""
    fields: dict[str, object] = {
        **head(record.cable_id, record.firmware, f"T{record.pagination}", record.meter),
        "IS": True,
        "IL": "TRUSTED",
        "IF": ["ISO15118_NONE"],
        "IT": "CENTRAL",
        "ID": record.driver_id,
        "RD": [
            _row(record, at_s=record.begin_s, wh=record.begin_wh, tx="B"),
            _row(record, at_s=record.end_s, wh=record.end_wh, tx="E"),
        ],
    }
    return render(fields)


def _row(record: TransactionRecord, *, at_s: int, wh: int, tx: str) -> dict[str, object]:
    return reading(
        time=time_text(at_s, offset_min=record.utc_offset_min, clock_state=record.clock_state),
        wh=wh,
        code=_CODES[record.direction],
        tx=tx,
    )


def transaction_record(payload: Mapping[str, Any]) -> TransactionRecord:
    """Read a payload of the form that `transaction_text` writes.

    Raises:
        OcmfFormatError: It is not one of ours.
    """
    with reading_declared("transaction record"):
        return _read(payload)


def _read(payload: Mapping[str, Any]) -> TransactionRecord:
    page = _PAGINATION.fullmatch(text(payload, "PG"))
    begin, end = payload["RD"]
    if page is None or (begin["TX"], end["TX"]) != ("B", "E") or begin["RI"] != end["RI"]:
        raise OcmfFormatError("not a begin and an end of one register")
    start, stop = parse_time(begin["TM"]), parse_time(end["TM"])
    same_clock(start, stop)
    return TransactionRecord(
        cable_id=CableId(parse_device_id(text(payload, "GS"))),
        pagination=int(page[1]),
        meter=meter_identity(payload),
        firmware=text(payload, "GV"),
        driver_id=DriverId(parse_device_id(text(payload, "ID"))),
        direction=_DIRECTIONS[begin["RI"]],
        begin_s=start.at_s,
        end_s=stop.at_s,
        begin_wh=kwh(begin),
        end_wh=kwh(end),
        clock_state=start.clock_state,
        utc_offset_min=start.offset_min,
    )
