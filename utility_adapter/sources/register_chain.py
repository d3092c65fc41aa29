"""Cumulative registers read one after the other, differenced at the boundaries of periods."""

from __future__ import annotations

from collections.abc import Iterator

from utility_adapter.domain.readings import DataQuality, worst
from utility_adapter.sources.amounts import MICRO_PER_WH
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.period_fold import Interval
from utility_adapter.sources.source import Note, NoteKind, RegisterRead


class RegisterChain:
    """The reads of one register in order of time.

    A period's energy is the difference of the reads at its two boundaries, so a lost read between
    them loses nothing and steps do not add up.

    Args:
        period_s: Length of the periods wanted, s.
        known: The last read before the file, if any.
    """

    def __init__(self, period_s: int, known: RegisterRead | None) -> None:
        self._period_s = period_s
        self._last = known
        self._pushed = False
        self._boundary: RegisterRead | None = None
        self._qualities: list[DataQuality] = []
        if known is not None and known.at_s % period_s == 0:
            self._boundary = known

    @property
    def last(self) -> RegisterRead:
        """The last read; there is one as soon as one was pushed."""
        assert self._last is not None
        return self._last

    def push(self, read: RegisterRead, *, revision: int, line: int) -> Iterator[Interval | Note]:
        """Add the next read; gives the period that ends with it, if one does.

        A read that is known already is passed over, when it says the same.

        Raises:
            Defect: Out of order, or another value of the same instant.
        """
        last = self._last
        if not self._pushed and last is not None and read.at_s < last.at_s:
            last = self._boundary = None  # a file older than what is known stands alone
        if last is not None and read.at_s <= last.at_s:
            if (read.at_s, read.wh) != (last.at_s, last.wh):
                raise Defect(line, "a read before or beside the one above it")
            return
        self._last, self._pushed = read, True
        if last is not None and read.wh < last.wh:
            text = f"{read.site_id} {read.register} fell from {last.wh} to {read.wh} Wh"
            yield Note(kind=NoteKind.REGISTER_FELL, line=line, text=text)
            self._boundary = None
        self._qualities.append(read.quality)
        if read.at_s % self._period_s == 0:
            yield from self._period(read, revision, line)

    def _period(self, read: RegisterRead, revision: int, line: int) -> Iterator[Interval | Note]:
        begin, self._boundary = self._boundary, read
        qualities, self._qualities = self._qualities, []
        if begin is None:
            return
        apart_s = read.at_s - begin.at_s
        if apart_s != self._period_s:
            text = f"{read.site_id} {read.register}: no read at a boundary within {apart_s} s"
            yield Note(kind=NoteKind.PERIOD_INCOMPLETE, line=line, text=text)
            return
        yield Interval(
            begin.at_s,
            self._period_s,
            (read.wh - begin.wh) * MICRO_PER_WH,
            max(begin.step_wh, read.step_wh) * MICRO_PER_WH,
            worst([begin.quality, *qualities]),
            revision,
            "",
            line,
        )
