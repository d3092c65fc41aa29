"""Which streams of a Green Button feed are read, and as what."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from gridcord.units import CableId, SiteId
from utility_adapter.domain.readings import Register
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.espi.index import (
    FeedIndex,
    MeterReading,
    ReadingType,
    UsagePoint,
)
from utility_adapter.sources.espi.virtual import parse_virtual_path
from utility_adapter.sources.period_fold import PeriodFold
from utility_adapter.sources.source import Note, NoteKind, ReadOptions

SCHEME = "espi"
_Pair = tuple[MeterReading, ReadingType]


@dataclass(frozen=True, slots=True)
class Stream:
    """A MeterReading that is read.

    Args:
        kind: What it counts.
        fold: Its open period.
        site_id: The site it is of.
        cable_id: The cable, of a cable's virtual point.
    """

    kind: ReadingType
    fold: PeriodFold
    site_id: SiteId
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


def choose_streams(found: FeedIndex, options: ReadOptions) -> StreamChoice:
    """Choose the streams of a feed that are read.

    Of several streams of one point and direction, those of intervals longer than a period give
    way; a net stream gives way to one of either direction.

    Args:
        found: The feed.
        options: What it does not say about itself.

    Raises:
        Defect: Two streams count one direction of one site, or links that lead nowhere.
    """
    chooser = _Chooser(options)
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
    def __init__(self, options: ReadOptions) -> None:
        self._options = options
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
        fold = PeriodFold(self._options.period_s)
        self.choice.streams[stream.path] = Stream(kind, fold, site_id, cable_id)


def _useless(kind: ReadingType, point: UsagePoint) -> str:
    if not point.is_electricity:
        return "no electricity"
    if not kind.is_energy:
        return "no active energy by intervals"
    return "" if kind.directed else "neither import, export nor net"
