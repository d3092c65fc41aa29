"""Where the values of a file wait until the whole of it was found sound.

In memory while they are few, in a temporary file beyond: a feed of a million values is validated
to its end before the first of them is handed on, and read once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Generic, TypeVar

from gridcord.units import Period, SiteId
from utility_adapter.domain.readings import MAX_WH, DataQuality, ReadingFact, Register
from utility_adapter.sources.amounts import whole_step_wh, whole_wh
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.period_fold import Interval
from utility_adapter.sources.source import Limits, Values

# site, register, start, length, Wh, step, quality, revision, method
_ROW = struct.Struct("<IBqIqqBqI")
_IN_MEMORY_BYTES = 4 << 20
_ROWS_AT_ONCE = 4096
_REGISTERS = {register: number for number, register in enumerate(Register)}
_QUALITIES = {quality: number for number, quality in enumerate(DataQuality)}
T = TypeVar("T")
_period = lru_cache(maxsize=1 << 14)(Period)


class _Names(Generic[T]):
    """Numbers for values that recur."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._numbers: dict[T, int] = {}
        self.values: list[T] = []

    def number(self, value: T) -> int:
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
            if number >= self._limit:
                raise Defect(None, f"more than {self._limit} sites or methods in one file")
        return number


class Spool:
    """Facts of one delivery, in order.

    Args:
        received_at_s: When it was received, seconds since 1970 UTC.
        source: Its name.
        limits: How many names it may hold.
    """

    def __init__(self, *, received_at_s: float, source: str, limits: Limits) -> None:
        self._received_at_s = received_at_s
        self._source = source
        self._sites: _Names[SiteId] = _Names(limits.names)
        self._methods: _Names[str] = _Names(limits.names)
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115
        self._pending = bytearray()
        self.count = 0

    def add(self, values: Values) -> list[Interval]:
        """Keep the values of a stream.

        Returns:
            The periods that have no value.

        Raises:
            Defect: A register that counts backwards or beyond every bound, or too many names.
        """
        site = self._sites.number(values.site_id)
        missing: list[Interval] = []
        for period in values.periods:
            if period.micro_wh is None:
                missing.append(period)
            elif values.register is not None:
                self._add(site, values.register, period, period.micro_wh)
            else:
                self._add(site, Register.IMPORT, period, max(0, period.micro_wh))
                self._add(site, Register.EXPORT, period, max(0, -period.micro_wh))
        if len(self._pending) >= _ROWS_AT_ONCE * _ROW.size:
            self._flush()
        return missing

    def _add(self, site: int, register: Register, period: Interval, micro_wh: int) -> None:
        wh = whole_wh(micro_wh)
        if not 0 <= wh <= MAX_WH:
            raise Defect(period.line, f"{register} of {wh} Wh in a period is impossible")
        try:
            self._pending += _ROW.pack(
                site,
                _REGISTERS[register],
                period.start_s,
                period.length_s,
                wh,
                whole_step_wh(period.step_micro_wh),
                _QUALITIES[period.quality],
                period.revision,
                self._methods.number(period.method),
            )
        except struct.error:
            raise Defect(period.line, "a number beyond 64 bits") from None
        self.count += 1

    def _flush(self) -> None:
        self._file.write(self._pending)
        self._pending.clear()

    @property
    def sites(self) -> int:
        """How many sites the facts are of."""
        return len(self._sites.values)

    def batches(self, size: int) -> Iterator[tuple[ReadingFact, ...]]:
        """The facts in order, at most `size` at once; may be asked for again."""
        self._flush()
        facts = self._facts()
        while batch := tuple(islice(facts, size)):
            yield batch

    def _facts(self) -> Iterator[ReadingFact]:
        registers, qualities = tuple(_REGISTERS), tuple(_QUALITIES)
        sites, methods = self._sites.values, self._methods.values
        for row in self._rows():
            site, register, start_s, length_s, wh, step_wh, quality, revision, method = row
            yield ReadingFact(
                site_id=sites[site],
                period=_period(start_s, length_s),
                register=registers[register],
                wh=wh,
                step_wh=step_wh,
                quality=qualities[quality],
                revision=revision,
                received_at_s=self._received_at_s,
                source=self._source,
                method=methods[method],
            )

    def _rows(self) -> Iterator[tuple[int, ...]]:
        at = 0
        while True:
            self._file.seek(at)  # another reader may have moved it
            rows = self._file.read(_ROWS_AT_ONCE * _ROW.size)
            if not rows:
                return
            at += len(rows)
            yield from _ROW.iter_unpack(rows)

    def close(self) -> None:
        """Forget the facts."""
        self._file.close()
