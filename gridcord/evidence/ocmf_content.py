"""Reads what an OCMF payload of ours says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gridcord.evidence.fiscal_record import FiscalRecord, MeterIdentity
from gridcord.evidence.ocmf_envelope import OcmfFormatError
from gridcord.evidence.ocmf_payload import (
    CLOCK_FLAGS,
    EXPORT_CODE,
    FORMAT_VERSION,
    IMPORT_CODE,
    VENDOR_KEY,
)
from gridcord.metering.reading import ClockState, ReadingQuality
from gridcord.metering.records import TransferRecord
from gridcord.units import (
    CableId,
    Energy,
    Period,
    Position,
    parse_device_id,
    parse_epoch,
    parse_site_id,
)

_STATES = {flag: state for state, flag in CLOCK_FLAGS.items()}
_TIME = re.compile(r"([0-9-]{10}T[0-9:]{8}),000([+-][0-9]{4}) ([SIU])")
_PAGINATION = re.compile(r"F([1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A TM taken apart: seconds since 1970 UTC, offset of its local time, worth of its clock."""

    at_s: int
    offset_min: int
    clock_state: ClockState


def parse_time(text: object) -> Stamp:
    """Read a TM of whole seconds.

    Raises:
        OcmfFormatError: It is none.
    """
    if not isinstance(text, str):
        raise OcmfFormatError(f"no time: {str(text)[:40]!r}")
    return _stamp(text)


@lru_cache(maxsize=4096)  # all cables write the same few boundaries
def _stamp(text: str) -> Stamp:
    found = _TIME.fullmatch(text)
    if found is None:
        raise OcmfFormatError(f"no time in whole seconds: {text[:40]!r}")
    moment = datetime.strptime(found[1] + found[2], "%Y-%m-%dT%H:%M:%S%z")
    return Stamp(
        at_s=int(moment.timestamp()),
        offset_min=(moment.utcoffset() or timedelta()) // timedelta(minutes=1),
        clock_state=_STATES[found[3]],
    )


def fiscal_record(payload: Mapping[str, Any]) -> FiscalRecord:
    """Read a payload of the form that `payload_text` writes; unknown names are tolerated.

    Raises:
        OcmfFormatError: It is not one of ours.
    """
    with reading_declared("fiscal record"):
        return _read(payload)


@contextmanager
def reading_declared(what: str) -> Iterator[None]:
    """Turn whatever a malformed payload provokes into an OcmfFormatError."""
    try:
        yield
    except OcmfFormatError:
        raise
    except KeyError as missing:
        raise OcmfFormatError(f"no {what}: {missing} is missing") from None
    except (ValueError, TypeError, ArithmeticError, AttributeError, IndexError) as failure:
        raise OcmfFormatError(f"no {what} of a cable: {failure}") from None


def _read(payload: Mapping[str, Any]) -> FiscalRecord:
    if payload["FV"] != FORMAT_VERSION:
        raise OcmfFormatError(f"format version {payload['FV']!r:.20}, expected {FORMAT_VERSION}")
    page = _PAGINATION.fullmatch(text(payload, "PG"))
    if page is None:
        raise OcmfFormatError("PG is not of the form F<n>")
    vendor = payload[VENDOR_KEY]
    return FiscalRecord(
        cable_id=CableId(parse_device_id(text(payload, "GS"))),
        pagination=int(page[1]),
        journal_epoch=_epoch(vendor),
        sequence_number=whole(vendor, "seq"),
        meter=meter_identity(payload),
        firmware=text(payload, "GV"),
        transfer=_transfer(payload["RD"], vendor),
        utc_offset_min=parse_time(payload["RD"][0]["TM"]).offset_min,
    )


def _transfer(rows: list[Mapping[str, Any]], vendor: Mapping[str, Any]) -> TransferRecord:
    if [row["RI"] for row in rows] != [IMPORT_CODE, EXPORT_CODE] * 2:
        raise OcmfFormatError("RD is not B0, C0 at begin and at end")
    start, _, end, _ = stamps = [parse_time(row["TM"]) for row in rows]
    if stamps != [start, start, end, end]:
        raise OcmfFormatError("import and export are of different instants")
    same_clock(start, end)
    registers = [kwh(row) for row in rows]
    return TransferRecord(
        period=Period(whole(vendor, "start"), whole(vendor, "length")),
        start_s=start.at_s,
        end_s=end.at_s,
        site_to_vehicle_start_wh=registers[0],
        vehicle_to_site_start_wh=registers[1],
        site_to_vehicle_end_wh=registers[2],
        vehicle_to_site_end_wh=registers[3],
        step_wh=whole(vendor, "step"),
        quality=ReadingQuality(text(vendor, "quality")),
        missing_s=whole(vendor, "missing"),
        site_id=parse_site_id(text(vendor, "site")) if "site" in vendor else "",
        hems_id=parse_site_id(text(vendor, "hems")) if "hems" in vendor else "",
        position=None if "pos" not in vendor else _position(vendor["pos"]),
        vehicle_id=_device(vendor, "vehicle"),
        driver_id=_device(vendor, "driver"),
        clock_state=start.clock_state,
        boot_id=text(vendor, "boot") if "boot" in vendor else "",
        end_monotonic_ns=whole(vendor, "mono"),
        final=vendor["final"] is True,
    )


def same_clock(begin: Stamp, end: Stamp) -> None:
    """Refuse a begin and an end by different clocks with OcmfFormatError."""
    if (begin.offset_min, begin.clock_state) != (end.offset_min, end.clock_state):
        raise OcmfFormatError("begin and end are by different clocks")


def kwh(row: Mapping[str, Any]) -> int:
    """The register of an entry of RD, Wh; OcmfFormatError unless kWh with three decimals."""
    value = row["RV"]
    if row["RU"] != "kWh" or not isinstance(value, Decimal) or value.as_tuple().exponent != -3:
        raise OcmfFormatError("a register is not in kWh with three decimals")
    return Energy.from_kwh(value).wh


def meter_identity(payload: Mapping[str, Any]) -> MeterIdentity:
    """MV, MM, MS and MF of a payload."""
    return MeterIdentity(
        vendor=text(payload, "MV"),
        model=text(payload, "MM"),
        serial=text(payload, "MS"),
        firmware=text(payload, "MF"),
    )


def text(fields: Mapping[str, Any], name: str) -> str:
    """A field that must be a text; OcmfFormatError else."""
    value = fields[name]
    if not isinstance(value, str):
        raise OcmfFormatError(f"{name} is no text")
    return value


def whole(fields: Mapping[str, Any], name: str) -> int:
    """A field that must be a whole number; OcmfFormatError else."""
    value = fields[name]
    if type(value) is not int or not 0 <= value < 2**64:
        raise OcmfFormatError(f"{name} is no whole number")
    return value


def _epoch(vendor: Mapping[str, Any]) -> int:
    """Hexadecimal; the first records had a number, which JSON readers cut to 53 bits."""
    if type(vendor["epoch"]) is int:
        return whole(vendor, "epoch")
    return parse_epoch(text(vendor, "epoch"))


def _device(vendor: Mapping[str, Any], name: str) -> str:
    return parse_device_id(text(vendor, name)) if name in vendor else ""


def _position(value: list[Any]) -> Position:
    latitude, longitude, accuracy, fix_ms = value
    return Position(
        float(latitude),
        float(longitude),
        accuracy_m=None if accuracy is None else float(accuracy),
        fix_time_s=None if fix_ms is None else fix_ms / 1000,
    )
