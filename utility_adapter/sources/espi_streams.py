"""Which streams of a Green Button feed are read, and as what."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from gridcord.units import CableId, SiteId
from utility_adapter.domain.readings import Register
from utility_adapter.sources.espi_index import (
    FeedIndex,
    MeterReading,
    ReadingType,
    UsagePoint,
)
from utility_adapter.sources.espi_virtual import parse_virtual_path
from utility_adapter.sources.period_fold import FactMaker, PeriodFold
from utility_adapter.sources.source import Defect, Note, NoteKind, ReadOptions

SCHEME = "espi"
_Pair = tuple[MeterReading, ReadingType]


@dataclass(frozen=True, slots=True)
class Stream:
    """A MeterReading that is read.

    Args:
        kind: What it counts.
        fold: Its open period.
        maker: Makes its facts; of a cable's virtual point, names the site only.
        cable_id: The cable, of a cable's virtual point.
    """

    kind: ReadingType
    fold: PeriodFold
    maker: FactMaker
    cable_id: CableId | None


def site_of(point: UsagePoint, options: ReadOptions) -> SiteId:
    """The site of a physical usage point: the last part of its address.

    Raises:
        Defect: That can be no part of a site id.
    """
    value = point.path.rpartition("/")[2]
    return options.site_id(scheme=SCHEME, value=value, line=point.line)


@dataclass(frozen=True, slots=True)
class StreamChoice:
    """What of a feed is read.

    Args:
        streams: By address.
        notes: Why the others are not.
    """

    streams: dict[str, Stream]
    notes: list[Note]


def choose_streams(found: FeedIndex, options: ReadOptions, source: str) -> StreamChoice:
    """Choose the streams of a feed that are read.

    Of several streams of one point and direction, those of intervals longer than a period give
    way; a net stream gives way to one of either direction.

    Args:
        found: The feed.
        options: What it does not say about itself.
        source: The delivery's name.

    Raises:
        Defect: Two streams count one direction of one site, or links that lead nowhere.
    """
    chooser = _Chooser(found, options, source)
    by_point: dict[str, list[_Pair]] = defaultdict(list)
    for stream in found.meter_readings.values():
        kind, point = found.type_of(stream), found.point_of(stream)
        reason = _useless(kind, point)
        if reason:
            chooser.skip(stream, reason)
        else:
            by_point[point.path].append((stream, kind))
    for path, streams in by_point.items():
        chooser.choose(found.usage_points[path], streams)
    return chooser.choice


class _Chooser:
    def __init__(self, found: FeedIndex, options: ReadOptions, source: str) -> None:
        self._index = found
        self._options = options
        self._source = source
        self._taken: set[tuple[SiteId, CableId | None, Register | None]] = set()
        self.choice = StreamChoice({}, [])

    def skip(self, stream: MeterReading, reason: str) -> None:
        text = f"{stream.path}: {reason}"
        note = Note(kind=NoteKind.STREAM_SKIPPED, line=stream.line, text=text)
        self.choice.notes.append(note)

    def choose(self, point: UsagePoint, streams: list[_Pair]) -> None:
        """Choose among the streams of one point."""
        directed = any(kind.register is not None for _, kind in streams)
        groups: dict[Register | None, list[_Pair]] = defaultdict(list)
        for stream, kind in streams:
            if directed and kind.register is None:
                self.skip(stream, "net beside import or export")
            else:
                groups[kind.register].append((stream, kind))
        for group in groups.values():
            self._choose_length(point, group)

    def _choose_length(self, point: UsagePoint, group: list[_Pair]) -> None:
        short = [pair for pair in group if (pair[1].length_s or 0) <= self._options.period_s]
        for pair in group if short else ():
            if pair not in short:
                self.skip(pair[0], "intervals longer than a period")
        for stream, kind in short or group:
            self._keep(point, stream, kind)

    def _keep(self, point: UsagePoint, stream: MeterReading, kind: ReadingType) -> None:
        owner = parse_virtual_path(point.path) if point.is_virtual else None
        if point.is_virtual and (owner is None or kind.register is None):
            self.skip(stream, "a virtual point of others")
            return
        site_id, cable_id = owner or (site_of(point, self._options), None)
        if (site_id, cable_id, kind.register) in self._taken:
            reason = f"two streams count {kind.register or 'net'} of {cable_id or site_id}"
            raise Defect(stream.line, reason)
        self._taken.add((site_id, cable_id, kind.register))
        maker = FactMaker(
            site_id=site_id,
            register=kind.register,
            received_at_s=self._options.received_at_s,
            source=self._source,
        )
        fold = PeriodFold(self._options.period_s)
        self.choice.streams[stream.path] = Stream(kind, fold, maker, cable_id)


def _useless(kind: ReadingType, point: UsagePoint) -> str:
    if not point.is_electricity:
        return "no electricity"
    if not kind.is_energy:
        return "no active energy by intervals"
    return "" if kind.directed else "neither import, export nor net"
