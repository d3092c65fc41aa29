"""From the intervals that a utility counts to the periods that are settled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gridcord.units import Period, SiteId
from utility_adapter.domain.readings import MAX_WH, DataQuality, ReadingFact, Register, worst
from utility_adapter.sources.amounts import whole_step_wh, whole_wh
from utility_adapter.sources.source import Defect, Item, Note, NoteKind


@dataclass(frozen=True, slots=True)
class Interval:
    """One value of a stream.

    Args:
        start_s: Seconds since 1970 UTC.
        length_s: Seconds, > 0.
        micro_wh: Millionths of a Wh; None where the file says that there is no value.
        step_micro_wh: One count, millionths of a Wh.
        quality: What the utility says of it.
        revision: Order number of the value.
        method: The format's own code.
        line: Where it stands.
    """

    start_s: int
    length_s: int
    micro_wh: int | None
    step_micro_wh: int
    quality: DataQuality
    revision: int
    method: str
    line: int


@dataclass(frozen=True, slots=True)
class PeriodValue:
    """The sum of the intervals of one period; `micro_wh` is None where one is missing.

    Args:
        period: The period.
        micro_wh: Millionths of a Wh.
        step_micro_wh: The truth is within this, millionths of a Wh: steps add up.
        quality: The worst of its intervals.
        revision: The highest of its intervals.
        method: The method of the interval with the worst quality.
        line: Where its first interval stands.
    """

    period: Period
    micro_wh: int | None
    step_micro_wh: int
    quality: DataQuality
    revision: int
    method: str
    line: int


class PeriodFold:
    """Sums the intervals of one stream into periods, in order of time.

    Args:
        period_s: Length of the periods wanted, s, > 0.
    """

    def __init__(self, period_s: int) -> None:
        self._period_s = period_s
        self._open: list[Interval] = []
        self._end_s = 0  # of the last interval
        self._covered_s = 0

    @property
    def end_s(self) -> int:
        """End of the last interval, seconds since 1970 UTC; 0 when any may follow."""
        return self._end_s

    def push(self, interval: Interval) -> Iterator[PeriodValue]:
        """Add the next interval; gives the periods that it completes or leaves incomplete.

        Raises:
            Defect: Longer than a period, across a boundary, overlapping or out of order.
        """
        start_s, length_s, period_s = interval.start_s, interval.length_s, self._period_s
        self._check(interval)
        if self._open and start_s // period_s != self._open[0].start_s // period_s:
            yield from self.finish()
        self._end_s = start_s + length_s
        if length_s == period_s:
            yield _single(interval)
            return
        self._open.append(interval)
        self._covered_s += length_s
        if self._covered_s == period_s:
            yield from self.finish()

    def finish(self) -> Iterator[PeriodValue]:
        """Close the open period, if any; the next interval may lie anywhere."""
        self._end_s = 0
        if not self._open:
            return
        intervals, covered_s = self._open, self._covered_s
        self._open, self._covered_s = [], 0
        yield _sum(intervals, self._period_s, complete=covered_s == self._period_s)

    def _check(self, interval: Interval) -> None:
        start_s, length_s, period_s = interval.start_s, interval.length_s, self._period_s
        if length_s <= 0:
            raise Defect(interval.line, f"an interval of {length_s} s")
        if length_s > period_s:
            reason = f"an interval of {length_s} s is longer than the period of {period_s} s"
            raise Defect(interval.line, reason)
        if start_s // period_s != (start_s + length_s - 1) // period_s:
            reason = f"an interval of {length_s} s crosses a boundary of periods"
            raise Defect(interval.line, reason)
        if start_s < self._end_s:
            raise Defect(interval.line, "an interval before the end of the one above it")


def _single(interval: Interval) -> PeriodValue:
    return PeriodValue(
        Period(interval.start_s, interval.length_s),
        interval.micro_wh,
        interval.step_micro_wh,
        interval.quality,
        interval.revision,
        interval.method,
        interval.line,
    )


def _sum(intervals: list[Interval], period_s: int, *, complete: bool) -> PeriodValue:
    amounts = [i.micro_wh for i in intervals if i.micro_wh is not None]
    quality = worst(i.quality for i in intervals)
    return PeriodValue(
        Period.containing(intervals[0].start_s, period_s),
        sum(amounts) if complete and len(amounts) == len(intervals) else None,
        sum(i.step_micro_wh for i in intervals),
        quality,
        max(i.revision for i in intervals),
        next(i.method for i in intervals if i.quality is quality),
        intervals[0].line,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FactMaker:
    """Turns the periods of one stream into facts.

    Args:
        site_id: The metering point.
        register: What the stream counts; None for a net stream, + import.
        received_at_s: When it was received, seconds since 1970 UTC.
        source: The delivery it came in.
    """

    site_id: SiteId
    register: Register | None
    received_at_s: float
    source: str

    def items(self, value: PeriodValue) -> Iterator[Item]:
        """One fact, two of a net stream, or a note where the period is incomplete.

        Raises:
            Defect: A register that counts backwards, or beyond every bound.
        """
        if value.micro_wh is None:
            text = f"{self.site_id} {self.register or 'net'} {value.period}"
            yield Note(kind=NoteKind.PERIOD_INCOMPLETE, line=value.line, text=text)
        elif self.register is not None:
            yield self._fact(value, self.register, value.micro_wh)
        else:
            yield self._fact(value, Register.IMPORT, max(0, value.micro_wh))
            yield self._fact(value, Register.EXPORT, max(0, -value.micro_wh))

    def _fact(self, value: PeriodValue, register: Register, micro_wh: int) -> ReadingFact:
        wh = whole_wh(micro_wh)
        if not 0 <= wh <= MAX_WH:
            raise Defect(value.line, f"{register} of {wh} Wh in a period is impossible")
        return ReadingFact(
            site_id=self.site_id,
            period=value.period,
            register=register,
            wh=wh,
            step_wh=whole_step_wh(value.step_micro_wh),
            quality=value.quality,
            revision=value.revision,
            received_at_s=self.received_at_s,
            source=self.source,
            method=value.method,
        )
