"""Green Button feeds: readings of sites, and transfers that a utility confirms (NAESB ESPI 4.0).

Direction words: forward (1, "delivered") is the site's import, reverse (19, "received") its
export, net (4) forward minus reverse.
"""

from __future__ import annotations

from collections.abc import Iterator

from utility_adapter.domain.readings import MAX_WH
from utility_adapter.domain.site import Site
from utility_adapter.sources import quality_codes
from utility_adapter.sources.amounts import MICRO_PER_WH, parse_integer
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.espi.entry import Entry, entries, number
from utility_adapter.sources.espi.index import FeedIndex, ReadingType, index
from utility_adapter.sources.espi.streams import SCHEME, Stream, choose_streams, site_of
from utility_adapter.sources.period_fold import Interval
from utility_adapter.sources.source import Document, Item, ReadOptions, Values
from utility_adapter.sources.transfer_pairs import TransferPairs
from utility_adapter.sources.xml_stream import Element, child, children, line_of, local_name

_WH_EXPONENT_OF_MICRO = 6


def read_espi(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Readings and sites of every physical usage point, transfers of our virtual ones."""
    found = index(document, options.limits)
    yield from _sites(found, options)
    choice = choose_streams(found, options)
    yield from choice.notes
    yield from _Reader(document, options, found, choice.streams).values()


def _sites(found: FeedIndex, options: ReadOptions) -> Iterator[Item]:
    for point in found.usage_points.values():
        if point.is_electricity and not point.is_virtual:
            yield Site(
                site_id=site_of(point, options),
                rated_power_w=point.rated_power_w,
                service_voltage_v=point.service_voltage_v,
            )
    yield from found.customer.sites(options, SCHEME)


class _Reader:
    def __init__(
        self,
        document: Document,
        options: ReadOptions,
        found: FeedIndex,
        streams: dict[str, Stream],
    ) -> None:
        self._document = document
        self._options = options
        self._index = found
        self._streams = streams
        self._transfers = TransferPairs(options.limits)

    def values(self) -> Iterator[Item]:
        """The values of the chosen streams."""
        for entry in entries(self._document, self._options.limits):
            for block in entry.resources:
                if local_name(block) == "IntervalBlock":
                    yield from self._block(entry, block)
        for stream in self._streams.values():
            yield from self._told(stream, stream.fold.finish())
        yield from self._transfers.items()

    def _block(self, entry: Entry, block: Element) -> Iterator[Item]:
        stream = self._streams.get(self._index.stream_of_block(entry))
        if stream is None:
            return
        intervals = list(_intervals(entry, block, stream.kind))
        if intervals and intervals[0].start_s < stream.fold.end_s:  # blocks in any order
            yield from self._told(stream, stream.fold.finish())
        yield from self._told(stream, stream.fold.push(intervals))

    def _told(self, stream: Stream, periods: list[Interval]) -> Iterator[Item]:
        register = stream.kind.register
        if stream.cable_id is None or register is None:
            yield Values(stream.site_id, register, periods)
            return
        for value in periods:
            self._transfers.add(
                site_id=stream.site_id,
                cable_id=stream.cable_id,
                register=register,
                value=value,
            )


def _intervals(entry: Entry, block: Element, kind: ReadingType) -> Iterator[Interval]:
    """The readings of a block; those without a time of their own follow one another.

    Raises:
        Defect: No time, no number, a negative amount of one direction, or too fine a unit.
    """
    whole = child(block, "interval")
    next_s = number(whole, "start") if whole is not None else None
    scale = _Scale(kind.exponent)
    revision = entry.updated_s or 0
    for reading in children(block, "IntervalReading"):
        start_s, length_s, value, codes = _fields(reading)
        start_s = next_s if start_s is None else start_s
        length_s = kind.length_s if length_s is None else length_s
        if start_s is None or length_s is None or start_s < 0:
            raise Defect(line_of(reading), "a reading without start or duration")
        next_s = start_s + length_s
        if value is not None and value < 0 and kind.register is not None:
            raise Defect(line_of(reading), f"a negative amount of one direction: {value}")
        quality = quality_codes.espi_quality(codes, kind.quality)
        yield Interval(
            start_s,
            length_s,
            scale.micro_wh(value, reading) if value is not None and quality else None,
            scale.step,
            quality or kind.quality,
            revision,
            "",
            line_of(reading),
        )


def _fields(reading: Element) -> tuple[int | None, int | None, int | None, list[int]]:
    """Start, duration, value and quality codes of a reading, in one pass: there are many."""
    start_s = length_s = value = None
    codes: list[int] = []
    for found in reading:
        match local_name(found):
            case "timePeriod":
                start_s, length_s = number(found, "start"), number(found, "duration")
            case "value":
                try:
                    value = parse_integer(found.text)
                except ValueError as error:
                    raise Defect(line_of(found), f"value: {error}") from None
            case "ReadingQuality":
                code = number(found, "quality")
                codes.append(-1 if code is None else code)
            case _:
                pass
    return start_s, length_s, value, codes


class _Scale:
    """From a stream's unit to millionths of a Wh."""

    def __init__(self, exponent: int) -> None:
        micro_exponent = exponent + _WH_EXPONENT_OF_MICRO
        self._factor = int(10 ** max(0, micro_exponent))
        self._divisor = int(10 ** max(0, -micro_exponent))
        self.step = max(1, self._factor // self._divisor)

    def micro_wh(self, value: int, reading: Element) -> int:
        if abs(value) * self._factor > MAX_WH * MICRO_PER_WH * self._divisor:
            raise Defect(line_of(reading), f"no amount of a site: {value}")
        micro_wh, rest = divmod(value * self._factor, self._divisor)
        if rest:
            raise Defect(line_of(reading), f"finer than a millionth of a Wh: {value}")
        return micro_wh
