"""From the intervals that a utility counts to the periods that are settled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from utility_adapter.domain.readings import DataQuality, worst
from utility_adapter.sources.defect import Defect


class Interval(NamedTuple):
    """One value of a stream: of an interval as it was read, or of a whole period.

    Args:
        start_s: Seconds since 1970 UTC.
        length_s: Seconds, > 0.
        micro_wh: Millionths of a Wh; None where there is no value.
        step_micro_wh: The truth is within this, millionths of a Wh.
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


class PeriodFold:
    """Sums the intervals of one stream into periods, in order of time.

    A period's `micro_wh` is None where one of its intervals is missing or has no value. Steps add
    up; the quality is the worst, the revision the highest of its intervals.

    Args:
        period_s: Length of the periods wanted, s, > 0.
    """

    def __init__(self, period_s: int) -> None:
        self._period_s = period_s
        self._open: list[Interval] = []
        self._covered_s = 0
        self.end_s = 0  # of the last interval; 0 when any may follow

    def push(self, intervals: Iterable[Interval]) -> list[Interval]:
        """Add the next intervals.

        Returns:
            The periods that they complete or leave incomplete.

        Raises:
            Defect: Longer than a period, across a boundary, overlapping or out of order.
        """
        period_s = self._period_s
        closed: list[Interval] = []
        for interval in intervals:
            start_s, length_s = interval.start_s, interval.length_s
            if length_s == period_s and start_s % period_s == 0 and start_s >= self.end_s:
                if self._open:
                    closed.append(self._close())
                closed.append(interval)
                self.end_s = start_s + length_s
                continue
            self._check(interval)
            if self._open and start_s // period_s != self._open[0].start_s // period_s:
                closed.append(self._close())
            self._open.append(interval)
            self._covered_s += length_s
            self.end_s = start_s + length_s
            if self._covered_s == period_s:
                closed.append(self._close())
        return closed

    def finish(self) -> list[Interval]:
        """Close the open period, if any; the next interval may lie anywhere."""
        self.end_s = 0
        return [self._close()] if self._open else []

    def _close(self) -> Interval:
        intervals, covered_s = self._open, self._covered_s
        self._open, self._covered_s = [], 0
        return _sum(intervals, self._period_s, complete=covered_s == self._period_s)

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
        if start_s < self.end_s:
            raise Defect(interval.line, "an interval before the end of the one above it")


def _sum(intervals: list[Interval], period_s: int, *, complete: bool) -> Interval:
    first = intervals[0]
    amounts = [i.micro_wh for i in intervals if i.micro_wh is not None]
    quality = worst(i.quality for i in intervals)
    return Interval(
        first.start_s - first.start_s % period_s,
        period_s,
        sum(amounts) if complete and len(amounts) == len(intervals) else None,
        sum(i.step_micro_wh for i in intervals),
        quality,
        max(i.revision for i in intervals),
        next(i.method for i in intervals if i.quality is quality),
        first.line,
    )
