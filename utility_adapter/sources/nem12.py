"""AEMO's NEM12 interval files.

The letters and the words "import" and "export" of NEM12 are the market's: suffix E is energy out
of the grid into the site, which is the site's import; suffix B is its export.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from gridcord.units import Period
from utility_adapter.domain.readings import Register, worst
from utility_adapter.domain.site import Site
from utility_adapter.sources.nem12_records import Channel, Day, days, intervals
from utility_adapter.sources.period_fold import FactMaker, PeriodFold, PeriodValue
from utility_adapter.sources.source import Defect, Document, Item, Note, NoteKind, ReadOptions
from utility_adapter.sources.transfer_pairs import TransferPairs

SCHEME = "nmi"


def read_nem12(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Active energy of each NMI, and transfers where the meter is one of our cables."""
    grouped = groupby(days(document, options), key=lambda day: day.channel.nmi)
    for _, group in grouped:
        yield from _Point(document.name, options).items(group)


class _Point:
    """The adjacent records of one NMI.

    Where several streams count one direction (two meters, a controlled load), they are summed,
    and a period in which one of them has no value has none.
    """

    def __init__(self, source: str, options: ReadOptions) -> None:
        self._source = source
        self._options = options
        self._seen: set[tuple[str, str]] = set()
        self._skipped: set[str] = set()
        self._sums: dict[tuple[Register, Period], list[PeriodValue]] = {}
        self._transfers = TransferPairs(options.limits)
        self._serials: set[str] = set()
        self._makers: dict[Register, FactMaker] = {}

    def items(self, group: Iterator[Day]) -> Iterator[Item]:
        channel: Channel | None = None
        for day in group:
            channel = day.channel
            if channel.register is None:
                yield from self._skip(channel)
                continue
            self._check_first(day)
            for value in self._values(day):
                yield from self._told(channel, channel.register, value)
        yield from self._transfers.items()
        if channel is not None:
            yield from self._summed(channel)
        for maker in [*self._makers.values()][:1]:
            yield Site(site_id=maker.site_id, meter_ids=tuple(sorted(self._serials - {""})))

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

    def _values(self, day: Day) -> Iterator[PeriodValue]:
        fold = PeriodFold(self._options.period_s)
        for interval in intervals(day, self._options):
            yield from fold.push(interval)
        yield from fold.finish()

    def _told(self, channel: Channel, register: Register, value: PeriodValue) -> Iterator[Item]:
        cable_id = self._options.cables.get(channel.serial)
        if cable_id is not None:
            site_id = self._maker(channel, register).site_id
            self._transfers.add(site_id=site_id, cable_id=cable_id, register=register, value=value)
        elif _parallel(channel, register) == 1:
            yield from self._maker(channel, register).items(value)
        else:
            self._sums.setdefault((register, value.period), []).append(value)

    def _summed(self, channel: Channel) -> Iterator[Item]:
        for (register, _), values in self._sums.items():
            total = _total(values, _parallel(channel, register))
            yield from self._maker(channel, register).items(total)

    def _maker(self, channel: Channel, register: Register) -> FactMaker:
        """The maker of the NMI's facts of a register."""
        if register not in self._makers:
            self._makers[register] = FactMaker(
                site_id=self._options.site_id(scheme=SCHEME, value=channel.nmi, line=channel.line),
                register=register,
                received_at_s=self._options.received_at_s,
                source=self._source,
            )
        return self._makers[register]


def _parallel(channel: Channel, register: Register) -> int:
    """How many streams of the NMI count a direction."""
    letter = "E" if register is Register.IMPORT else "B"
    return sum(suffix.startswith(letter) for suffix in channel.configuration)


def _total(values: list[PeriodValue], expected: int) -> PeriodValue:
    amounts = [value.micro_wh for value in values if value.micro_wh is not None]
    quality = worst(value.quality for value in values)
    return PeriodValue(
        values[0].period,
        sum(amounts) if len(amounts) == expected else None,
        sum(value.step_micro_wh for value in values),
        quality,
        max(value.revision for value in values),
        next(value.method for value in values if value.quality is quality),
        values[0].line,
    )
