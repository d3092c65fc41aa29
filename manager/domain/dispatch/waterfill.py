"""Exact weighted water-filling in whole units, for many segments at once.

Think of one vessel per row, `weight` wide and `room` deep, and of water poured into the vessels of
a segment: all fill to a common level as far as their room goes. In whole units a row gets its k-th
unit when the level passes k / weight, and an amount takes that many first units in the order of
(level, number). That order depends neither on the amount, so nobody loses a unit because more is
poured, nor on the order of the rows. Levels are fixed-point integers, so sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MAX_ROOM = 1 << 24  # 16 MW of one row: with the largest weight a level's product fits 63 bits
MAX_WEIGHT = 1 << 10
_SHIFT = 28  # binary places of a level
_SURE_STEPS = 24
_LIKELY_STEPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Vessels:
    """Rows in contiguous segments.

    Args:
        room: Most units of each row, in [0, MAX_ROOM].
        weight: Share of each row, in [1, MAX_WEIGHT].
        number: Distinct within a segment; among equals the lower comes first.
        starts: First row of each segment, ascending from 0; no segment is empty.
    """

    room: Ints
    weight: Ints
    number: Ints
    starts: Ints

    @property
    def segment(self) -> Ints:
        """The segment of each row."""
        return self.spread(np.arange(len(self.starts), dtype=np.int64))

    def sums(self, values: npt.NDArray[np.int64] | Mask) -> Ints:
        """Sum over each segment."""
        if len(self.starts) == 1:
            return np.array([np.sum(values, dtype=np.int64)])
        result: Ints = np.add.reduceat(values, self.starts, dtype=np.int64)
        return result

    def spread(self, values: Ints) -> Ints:
        """The value of each segment on all of its rows."""
        if len(self.starts) == 1:
            return np.broadcast_to(values, self.room.shape)
        return np.repeat(values, np.diff(self.starts, append=len(self.room)))


def fill(*, amounts: Ints, vessels: Vessels) -> Ints:
    """Pour an amount into each segment.

    Args:
        amounts: Units for each segment, in [0, sum of its room].
        vessels: The rows.

    Returns:
        Units of each row, in [0, room]; the sum of each segment is exactly its amount.
    """
    if not len(amounts):
        return np.zeros(0, np.int64)
    search = _Search(amounts, vessels)
    search.approach()
    while True:
        level = search.last_level()
        missing = amounts - vessels.sums(search.filled(level - 1))
        if (missing >= 0).all():
            return _topped(search, level, missing)
        # A wide row takes several of the missing units below that level: halve the bracket.
        search.high = np.where(missing < 0, level - 1, search.high)
        search.attempt(search.low + (search.high - search.low) // 2)


class _Search:
    """Narrows levels around the wanted one: filled(low) <= amount < filled(high).

    Of a segment that is filled completely both are the highest level. `missing` is the amount less
    what is filled at `low`.
    """

    def __init__(self, amounts: Ints, vessels: Vessels) -> None:
        self.vessels = vessels
        self._amounts = amounts
        # Reused, because fresh pages cost more than the arithmetic on them.
        self._units = np.empty_like(vessels.room)
        self._widths = np.empty_like(vessels.room)
        full_level = -(-(vessels.room << _SHIFT) // vessels.weight)
        self.high: Ints = np.maximum.reduceat(full_level, vessels.starts)
        full = amounts == vessels.sums(vessels.room)
        self.low: Ints = np.where(full, self.high, 0)
        self.missing: Ints = np.where(full, 0, amounts)

    def filled(self, level: Ints) -> Ints:
        """Units of each row at a level of each segment; overwritten by the next call."""
        units = np.multiply(self.vessels.spread(level), self.vessels.weight, out=self._units)
        np.right_shift(units, _SHIFT, out=units)
        return np.minimum(units, self.vessels.room, out=units)

    def attempt(self, level: Ints) -> None:
        """Take a level as the new bound on its side."""
        missing = self._amounts - self.vessels.sums(self.filled(level))
        below = missing >= 0
        np.copyto(self.low, level, where=below)
        np.copyto(self.missing, missing, where=below)
        np.copyto(self.high, level, where=~below)

    def approach(self) -> None:
        """Raise `low` by Newton's method on what the rows with room left would take.

        A row holds less than one unit below its exact share, so steps for `missing` less one unit
        a row are never too long; the last ones keep back less and may be.
        """
        likely = 0
        for _ in range(_SURE_STEPS):
            free = self.filled(self.low) < self.vessels.room
            rows = self.vessels.sums(free)
            width = self.vessels.sums(np.multiply(free, self.vessels.weight, out=self._widths))
            kept_back = rows
            if (self.missing <= 2 * rows).all():
                likely += 1
                kept_back = rows >> (2 * likely + 1)
            if likely > _LIKELY_STEPS:
                return
            units = np.maximum(self.missing - kept_back, 0) / np.maximum(width, 1)
            level = self.low + (units * (1 << _SHIFT)).astype(np.int64)
            self.attempt(np.minimum(level, self.high))

    def last_level(self) -> Ints:
        """Where the last missing unit is taken if no row takes more than one of them."""
        vessels = self.vessels
        units = self.filled(self.low)
        free = units < vessels.room
        rows = np.flatnonzero(free)
        next_level = -(-((units[rows] + 1) << _SHIFT) // vessels.weight[rows])
        counts = vessels.sums(free)
        asked = (self.missing > 0) & (self.missing <= counts)
        level = np.where(self.missing > 0, self.high, self.low + 1)
        if len(counts) > 1:
            ordered = next_level[np.lexsort((next_level, vessels.segment[rows]))]
            level[asked] = ordered[(np.cumsum(counts) - counts + self.missing - 1)[asked]]
        elif asked[0]:
            rank = int(self.missing[0]) - 1
            level[0] = np.partition(next_level, rank)[rank]
        return np.minimum(level, np.maximum(self.high, self.low + 1))


def _topped(search: _Search, level: Ints, missing: Ints) -> Ints:
    """What is filled just below a level, and of the units that come at it the missing lowest."""
    vessels = search.vessels
    units = search.filled(level - 1).copy()
    rows = np.flatnonzero(search.filled(level) > units)
    if len(missing) == 1:
        units[_lowest(rows, vessels.number, int(missing[0]))] += 1
        return units
    segment = vessels.segment[rows]
    order = np.lexsort((vessels.number[rows], segment))
    counts = np.bincount(segment, minlength=len(missing))
    rank = np.arange(len(rows)) - (np.cumsum(counts) - counts)[segment[order]]
    units[rows[order][rank < missing[segment[order]]]] += 1
    return units


def _lowest(rows: Ints, number: Ints, count: int) -> Ints:
    if count >= len(rows):
        return rows
    if count <= 0:
        return rows[:0]
    return rows[np.argpartition(number[rows], count - 1)[:count]]
