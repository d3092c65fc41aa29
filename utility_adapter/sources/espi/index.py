"""A Green Button feed without its values: points, streams and types by address (NAESB ESPI 4.0).

A UsagePoint has MeterReadings, a MeterReading one ReadingType and many IntervalBlocks. They find
each other by links, and may stand in any order, so the feed is indexed before its values are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from utility_adapter.domain.readings import DataQuality, Register
from utility_adapter.sources import quality_codes
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.espi.customer import CustomerIndex
from utility_adapter.sources.espi.entry import CUSTOMER, Entry, entries, number
from utility_adapter.sources.source import Document, Limits
from utility_adapter.sources.xml_stream import (
    Element,
    child,
    line_of,
    local_name,
    namespace,
    text_of,
)

WATT_HOURS, WATTS, VOLTS = 72, 38, 29
FORWARD, NET, REVERSE = 1, 4, 19
DELTA_DATA = 4
ELECTRICITY_KIND = 0
_ELECTRICITY = {0, 1, 2}  # commodity: none, secondary metered, primary metered
_ENERGY_KINDS = {0, 12}
_FLOWS: dict[int, Register | None] = {
    FORWARD: Register.IMPORT,
    REVERSE: Register.EXPORT,
    NET: None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingType:
    """What a stream counts.

    Args:
        is_energy: Active energy of electricity, as amounts of intervals.
        directed: Its direction is one that we know.
        register: The site's register; None for a net stream, + import.
        length_s: Length of its intervals, s; None when not told.
        exponent: Power of ten of its unit in Wh.
        quality: Of values that do not name theirs.
        line: Where it stands.
    """

    is_energy: bool
    directed: bool
    register: Register | None
    length_s: int | None
    exponent: int
    quality: DataQuality
    line: int


def reading_type(element: Element) -> ReadingType:
    """Read a ReadingType.

    Raises:
        Defect: A field that is no number, or no power of ten for energy.
    """
    exponent = number(element, "powerOfTenMultiplier") or 0
    if not -12 <= exponent <= 9:
        raise Defect(line_of(element), f"no power of ten for energy: {exponent}")
    flow = number(element, "flowDirection")
    code = number(element, "defaultQuality")
    quality = quality_codes.espi_quality([] if code is None else [code], DataQuality.VALID)
    return ReadingType(
        is_energy=number(element, "uom") == WATT_HOURS
        and (number(element, "kind") or 0) in _ENERGY_KINDS
        and (number(element, "commodity") or 0) in _ELECTRICITY
        and number(element, "accumulationBehaviour") in (None, DELTA_DATA),
        directed=flow in _FLOWS,
        register=_FLOWS.get(flow) if flow is not None else None,
        length_s=number(element, "intervalLength"),
        exponent=exponent,
        quality=quality or DataQuality.QUESTIONABLE,
        line=line_of(element),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePoint:
    """A metering point of the feed, without its values.

    Args:
        path: Its address.
        is_electricity: Its service is electricity.
        is_virtual: No meter can be there.
        rated_power_w: Most the connection carries, W; None when not told.
        service_voltage_v: Nominal voltage, V; None when not told.
        line: Where it stands.
    """

    path: str
    is_electricity: bool
    is_virtual: bool
    rated_power_w: int | None
    service_voltage_v: int | None
    line: int


def usage_point(entry: Entry, element: Element) -> UsagePoint:
    """Read a UsagePoint.

    Raises:
        Defect: It has no address, or a field that is no number.
    """
    if not entry.self_path:
        raise Defect(entry.line, "UsagePoint without a self link")
    service = child(element, "ServiceCategory")
    kind = number(service, "kind") if service is not None else None
    return UsagePoint(
        path=entry.self_path,
        is_electricity=kind in (None, ELECTRICITY_KIND),
        is_virtual=text_of(element, "isVirtual") in ("true", "1"),
        rated_power_w=_measurement(element, "ratedPower", WATTS),
        service_voltage_v=_measurement(element, "nominalServiceVoltage", VOLTS),
        line=entry.line,
    )


def _measurement(element: Element, name: str, unit: int) -> int | None:
    """A SummaryMeasurement in whole units; None when absent, zero or in another unit."""
    found = child(element, name)
    if found is None or number(found, "uom") != unit:
        return None
    value, exponent = number(found, "value"), number(found, "powerOfTenMultiplier") or 0
    if value is None or not -12 <= exponent <= 12:
        return None
    whole = value * 10**exponent if exponent >= 0 else value // 10**-exponent
    return whole if whole > 0 else None


@dataclass(frozen=True, slots=True)
class MeterReading:
    """A stream of the feed, without its values."""

    path: str
    parent_path: str
    up_path: str
    related: tuple[str, ...]
    line: int


@dataclass(slots=True)
class FeedIndex:
    """Everything of a feed but its values, by address."""

    usage_points: dict[str, UsagePoint] = field(default_factory=dict)
    meter_readings: dict[str, MeterReading] = field(default_factory=dict)
    reading_types: dict[str, ReadingType] = field(default_factory=dict)
    customer: CustomerIndex = field(default_factory=CustomerIndex)
    _streams: dict[str, str] = field(default_factory=dict)  # what a stream refers to -> stream
    _points: dict[str, str] = field(default_factory=dict)  # what a point refers to -> point

    def add(self, entry: Entry, element: Element) -> None:
        """Take in a resource.

        Raises:
            Defect: It lacks what others find it by.
        """
        if namespace(element) == CUSTOMER:
            self.customer.add(entry, element)
            return
        match local_name(element):
            case "UsagePoint":
                self.usage_points[entry.self_path] = usage_point(entry, element)
                self._points.update(dict.fromkeys(entry.related, entry.self_path))
            case "MeterReading":
                self._add_stream(entry)
            case "ReadingType":
                self.reading_types[entry.self_path] = reading_type(element)
            case _:
                pass

    def _add_stream(self, entry: Entry) -> None:
        if not entry.self_path:
            raise Defect(entry.line, "MeterReading without a self link")
        self.meter_readings[entry.self_path] = MeterReading(
            entry.self_path, entry.parent_path, entry.up_path, entry.related, entry.line
        )
        self._streams.update(dict.fromkeys(entry.related, entry.self_path))

    @property
    def size(self) -> int:
        """How many resources it holds."""
        usage = len(self.usage_points) + len(self.meter_readings) + len(self.reading_types)
        return usage + self.customer.size

    def type_of(self, stream: MeterReading) -> ReadingType:
        """The ReadingType of a stream.

        Raises:
            Defect: It names none that the feed holds.
        """
        for path in stream.related:
            if path in self.reading_types:
                return self.reading_types[path]
        raise Defect(stream.line, "MeterReading names no ReadingType of the feed")

    def point_of(self, stream: MeterReading) -> UsagePoint:
        """The UsagePoint of a stream.

        Raises:
            Defect: The feed does not hold it.
        """
        related = self._points.get(stream.path) or self._points.get(stream.up_path)
        for path in (stream.parent_path, related):
            if path in self.usage_points:
                return self.usage_points[path]
        raise Defect(stream.line, "MeterReading belongs to no UsagePoint of the feed")

    def stream_of_block(self, entry: Entry) -> str:
        """The address of the stream that an entry's IntervalBlocks belong to.

        Raises:
            Defect: The feed does not hold it.
        """
        for path in (entry.parent_path, entry.up_path, self._streams.get(entry.up_path)):
            if path in self.meter_readings:
                return path
        raise Defect(entry.line, "IntervalBlock belongs to no MeterReading of the feed")


def index(document: Document, limits: Limits) -> FeedIndex:
    """Index a feed.

    Raises:
        Defect: Broken, or too many resources.
    """
    found = FeedIndex()
    for entry in entries(document, limits):
        for element in entry.resources:
            found.add(entry, element)
        if found.size > limits.names:
            raise Defect(entry.line, f"more than {limits.names} points, streams and types")
    return found
