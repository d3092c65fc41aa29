"""Where the facts of a file wait until the whole of it was found sound.

In memory while they are few, in a temporary file beyond: a feed of a million values is validated
to its end before the first of them is handed on, and read once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Generic, TypeVar

from gridcord.units import Period, SiteId
from utility_adapter.domain.readings import DataQuality, ReadingFact, Register
from utility_adapter.sources.source import Defect, Limits

_ROW = struct.Struct(
    "<IqIBqqBqI"
)  # site, start, length, register, Wh, step, quality, revision, method
_IN_MEMORY_BYTES = 4 << 20
_ROWS_AT_ONCE = 4096
_REGISTERS = tuple(Register)
_QUALITIES = tuple(DataQuality)
T = TypeVar("T")


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

    def add(self, fact: ReadingFact) -> None:
        """Keep a fact.

        Raises:
            Defect: Too many names, or a number beyond 64 bits.
        """
        try:
            row = _ROW.pack(
                self._sites.number(fact.site_id),
                fact.period.start_s,
                fact.period.length_s,
                _REGISTERS.index(fact.register),
                fact.wh,
                fact.step_wh,
                _QUALITIES.index(fact.quality),
                fact.revision,
                self._methods.number(fact.method),
            )
        except struct.error:
            raise Defect(None, f"a number beyond 64 bits at {fact.period}") from None
        self._pending += row
        self.count += 1
        if len(self._pending) >= _ROWS_AT_ONCE * _ROW.size:
            self._flush()

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
        at = 0
        while True:
            self._file.seek(at)
            rows = self._file.read(_ROWS_AT_ONCE * _ROW.size)
            self._file.seek(0, 2)
            if not rows:
                return
            at += len(rows)
            yield from map(self._fact, _ROW.iter_unpack(rows))

    def _fact(self, row: tuple[int, ...]) -> ReadingFact:
        site, start_s, length_s, register, wh, step_wh, quality, revision, method = row
        return ReadingFact(
            site_id=self._sites.values[site],
            period=Period(start_s, length_s),
            register=_REGISTERS[register],
            wh=wh,
            step_wh=step_wh,
            quality=_QUALITIES[quality],
            revision=revision,
            received_at_s=self._received_at_s,
            source=self._source,
            method=self._methods.values[method],
        )

    def close(self) -> None:
        """Forget the facts."""
        self._file.close()
