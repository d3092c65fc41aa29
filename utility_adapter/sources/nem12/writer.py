"""Writing AEMO's NEM12: transfers, and readings of sites.

A cable is a meter of the site's NMI: its charging is a stream of suffix E, its discharging one of
suffix B, numbered by cable, and the meter's serial number is the cable's id. A day always has all
its values; those not known are null (quality N).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import BinaryIO

from gridcord.units import CableId, SiteId
from utility_adapter.domain.readings import ReadingFact, Register
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources.nem12.records import DAY_MINUTES, LENGTHS_MINUTES, SCHEME
from utility_adapter.sources.quality_codes import NEM12_FLAG
from utility_adapter.sources.series import (
    NotExpressible,
    Series,
    SeriesValue,
    reading_series,
    transfer_series,
)

_NMI = re.compile(r"[A-Z0-9]{10}")
_SERIAL = re.compile(r"[A-Za-z0-9-]{1,12}")
_LETTERS = {Register.IMPORT: "E", Register.EXPORT: "B"}
_NUMBERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_NULL = "N"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nem12Names:
    """How sites and cables are called in NEM12, and who writes to whom.

    Args:
        nmis: Site -> NMI of 10 characters; a site `nmi:<NMI>` needs no entry.
        serials: Cable -> meter serial number of at most 12 characters; a cable whose id is no
            longer needs no entry.
        sender: Participant that writes.
        receiver: Participant that it is for.
        offset_s: Standard time, seconds east of UTC.
    """

    nmis: Mapping[SiteId, str] = field(default_factory=dict)
    serials: Mapping[CableId, str] = field(default_factory=dict)
    sender: str = "GRIDCORD"
    receiver: str = "MDP"
    offset_s: int = 10 * 3600

    def nmi(self, site_id: SiteId) -> str:
        """The NMI of a site.

        Raises:
            NotExpressible: It has none.
        """
        scheme, _, value = site_id.partition(":")
        nmi = self.nmis.get(site_id, value if scheme == SCHEME else "")
        if not _NMI.fullmatch(nmi):
            message = f"{site_id} has no NMI of 10 capitals and digits: {nmi!r}"
            raise NotExpressible(message)
        return nmi

    def serial(self, cable_id: CableId | None) -> str:
        """The meter serial number of a cable; empty for the site's own meter.

        Raises:
            NotExpressible: It has none of at most 12 characters.
        """
        if cable_id is None:
            return ""
        serial = self.serials.get(cable_id, cable_id)
        if not _SERIAL.fullmatch(serial):
            message = f"a meter serial number has at most 12 characters: {serial!r}"
            raise NotExpressible(message)
        return serial


def write_nem12_transfers(
    transfers: Iterable[PeriodTransfer],
    out: BinaryIO,
    *,
    written_at_s: int,
    names: Nem12Names | None = None,
) -> None:
    """Write a file with an E and a B stream for every cable at a site.

    Raises:
        NotExpressible: Not sorted, no NMI or serial number, or periods of another length than
            5, 15 or 30 minutes.
    """
    series = transfer_series(transfers, written_at_s=written_at_s)
    _Writer(out, written_at_s, names or Nem12Names()).write(series)


def write_nem12_readings(
    facts: Iterable[ReadingFact],
    out: BinaryIO,
    *,
    written_at_s: int,
    names: Nem12Names | None = None,
) -> None:
    """Write a file with an E and a B stream for every site.

    Raises:
        NotExpressible: As for transfers.
    """
    _Writer(out, written_at_s, names or Nem12Names()).write(reading_series(facts))


class _Writer:
    def __init__(self, out: BinaryIO, written_at_s: int, names: Nem12Names) -> None:
        self._out = out
        self._written_at_s = written_at_s
        self._names = names

    def write(self, series: Iterable[Series]) -> None:
        stamp = self._local(self._written_at_s)
        self._row("100", "NEM12", f"{stamp:%Y%m%d%H%M}", self._names.sender, self._names.receiver)
        for site_id, group in groupby(series, key=lambda one: one.site_id):
            self._site(site_id, list(group))
        self._row("900")

    def _row(self, *fields: str) -> None:
        self._out.write((",".join(fields) + "\r\n").encode())

    def _local(self, at_s: int) -> datetime:
        return datetime.fromtimestamp(at_s, UTC) + timedelta(seconds=self._names.offset_s)

    def _site(self, site_id: SiteId, group: list[Series]) -> None:
        if len(group) > len(_NUMBERS):
            message = f"NEM12 numbers at most {len(_NUMBERS)} cables at {site_id}"
            raise NotExpressible(message)
        nmi = self._names.nmi(site_id)
        numbered = list(zip(_NUMBERS, group, strict=False))
        configuration = "".join(
            _LETTERS[register] + number
            for number, series in numbered
            for register in series.registers
        )
        for number, series in numbered:
            for register in series.registers:
                suffix = _LETTERS[register] + number
                minutes = self._minutes(series)
                serial = self._names.serial(series.cable_id)
                self._row("200", nmi, configuration, suffix, suffix, "", serial, "KWH", minutes, "")
                self._days(series, register, int(minutes))

    def _minutes(self, series: Series) -> str:
        minutes, rest = divmod(series.length_s, 60)
        if rest or minutes not in LENGTHS_MINUTES:
            message = f"NEM12 has no periods of {series.length_s} s"
            raise NotExpressible(message)
        return str(minutes)

    def _days(self, series: Series, register: Register, minutes: int) -> None:
        stated = (value for value in series.values if value.wh(register) is not None)
        days = groupby(stated, key=lambda value: self._local(value.period.start_s).date())
        for day, group in days:
            slots: list[SeriesValue | None] = [None] * (DAY_MINUTES // minutes)
            for value in group:
                local = self._local(value.period.start_s)
                slots[(local.hour * 60 + local.minute) // minutes] = value
            self._day(f"{day:%Y%m%d}", slots, register)

    def _day(self, day: str, slots: list[SeriesValue | None], register: Register) -> None:
        flags = [NEM12_FLAG[slot.quality] if slot else _NULL for slot in slots]
        updated_s = max(slot.updated_s for slot in slots if slot)
        events = list(_runs(flags))
        values = (_kwh((slot.wh(register) if slot else None) or 0) for slot in slots)
        method = _method(flags[0]) if len(events) == 1 else "V"
        stamp = f"{self._local(updated_s):%Y%m%d%H%M%S}"
        self._row("300", day, *values, method, "", "", stamp, "")
        if method == "V":
            for first, last, flag in events:
                self._row("400", str(first), str(last), _method(flag), "", "")


def _runs(flags: list[str]) -> Iterator[tuple[int, int, str]]:
    first = 1
    for flag, group in groupby(flags):
        count = len(list(group))
        yield first, first + count - 1, flag
        first += count


def _method(flag: str) -> str:
    """The flag with a method where the specification asks for one (E, F, S): 14, "like day"."""
    return flag if flag in "AN" else f"{flag}14"


def _kwh(wh: int) -> str:
    return str(Decimal(wh).scaleb(-3).quantize(Decimal("0.001")))
