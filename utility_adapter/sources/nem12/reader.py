"""AEMO's NEM12 interval files.

The letters and the words "import" and "export" of NEM12 are the market's: suffix E is energy out
of the grid into the site, which is the site's import; suffix B is its export.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from gridcord.units import SiteId
from utility_adapter.domain.readings import Register, worst
from utility_adapter.domain.site import Site
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.nem12.records import Channel, Day, days, intervals
from utility_adapter.sources.period_fold import Interval, PeriodFold
from utility_adapter.sources.source import Document, Item, Note, NoteKind, ReadOptions, Values
from utility_adapter.sources.transfer_pairs import TransferPairs


def read_nem12(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Active energy of each NMI, and transfers where the meter is one of our cables."""
    grouped = groupby(days(document, options), key=lambda day: day.channel.site_id)
    for site_id, group in grouped:
        yield from _Point(site_id, options).items(group)


class _Point:
    """The adjacent records of one NMI.

    Where several streams count one direction (two meters, a controlled load), they are summed,
    and a period in which one of them has no value has none.
    """

    def __init__(self, site_id: SiteId, options: ReadOptions) -> None:
        self._site_id = site_id
        self._options = options
        self._seen: set[tuple[str, str]] = set()
        self._skipped: set[str] = set()
        self._serials: set[str] = set()
        self._sums: dict[tuple[Register, int], list[Interval]] = {}
        self._streams: dict[Register, int] = {}
        self._transfers = TransferPairs(options.limits)

    def items(self, group: Iterable[Day]) -> Iterator[Item]:
        for day in group:
            register = day.channel.register
            if register is None:
                yield from self._skip(day.channel)
            else:
                self._check_first(day)
                yield from self._told(day.channel, register, self._periods(day))
        yield from self._transfers.items()
        for (register, _), values in self._sums.items():
            yield Values(self._site_id, register, [_total(values, self._streams[register])])
        if self._serials:
            yield Site(site_id=self._site_id, meter_ids=tuple(sorted(self._serials)))

    def _skip(self, channel: Channel) -> Iterator[Item]:
        if channel.suffix not in self._skipped:
            self._skipped.add(channel.suffix)
            text = f"{channel.nmi} {channel.suffix} is no active energy of the site"
            yield Note(kind=NoteKind.STREAM_SKIPPED, line=channel.line, text=text)

    def _check_first(self, day: Day) -> None:
        key = (day.channel.suffix, day.row.get(1))
        if key in self._seen:
            raise Defect(day.row.line, f"day {key[1]} of {key[0]} stands twice")
        self._seen.add(key)

    def _periods(self, day: Day) -> list[Interval]:
        fold = PeriodFold(self._options.period_s)
        return fold.push(intervals(day, self._options)) + fold.finish()

    def _told(
        self, channel: Channel, register: Register, periods: list[Interval]
    ) -> Iterator[Item]:
        cable_id = self._options.cables.get(channel.serial)
        if cable_id is not None:
            for value in periods:
                self._transfers.add(
                    site_id=self._site_id, cable_id=cable_id, register=register, value=value
                )
            return
        if channel.serial:
            self._serials.add(channel.serial)
        self._streams[register] = _parallel(channel, register)
        if self._streams[register] == 1:
            yield Values(self._site_id, register, periods)
            return
        for value in periods:
            self._sums.setdefault((register, value.start_s), []).append(value)


def _parallel(channel: Channel, register: Register) -> int:
    """How many streams of the NMI count a direction."""
    letter = "E" if register is Register.IMPORT else "B"
    return sum(suffix.startswith(letter) for suffix in channel.configuration)


def _total(values: list[Interval], expected: int) -> Interval:
    amounts = [value.micro_wh for value in values if value.micro_wh is not None]
    quality = worst(value.quality for value in values)
    return Interval(
        values[0].start_s,
        values[0].length_s,
        sum(amounts) if len(amounts) == expected else None,
        sum(value.step_micro_wh for value in values),
        quality,
        max(value.revision for value in values),
        next(value.method for value in values if value.quality is quality),
        values[0].line,
    )
