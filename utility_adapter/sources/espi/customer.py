"""Where a metering point is and which meter it has, from the customer feed (ESPI customer.xsd).

Usage and customer data never come in one message, so this feed names the usage points by address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gridcord.units import Position
from utility_adapter.domain.site import Site
from utility_adapter.sources.amounts import parse_number
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.espi.entry import Entry, path_of
from utility_adapter.sources.source import ReadOptions
from utility_adapter.sources.xml_stream import (
    Element,
    child,
    line_of,
    local_name,
    required_text,
    text_of,
)


@dataclass(frozen=True, slots=True)
class _Location:
    path: str
    parent_path: str
    related: tuple[str, ...]
    position: Position | None
    points: tuple[str, ...]  # addresses of usage points
    line: int


@dataclass(frozen=True, slots=True)
class _Meter:
    path: str
    parent_path: str
    related: tuple[str, ...]
    serial: str


@dataclass(slots=True)
class CustomerIndex:
    """Service locations and meters of a feed.

    A meter is at a location when either refers to the other, or when both belong to one
    customer agreement.
    """

    _locations: list[_Location] = field(default_factory=list)
    _meters: list[_Meter] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many resources it holds."""
        return len(self._locations) + len(self._meters)

    def add(self, entry: Entry, element: Element) -> None:
        """Take in a resource of the customer namespace.

        Raises:
            Defect: A coordinate that is none, or an address that is none.
        """
        match local_name(element):
            case "ServiceLocation":
                self._locations.append(_location(entry, element))
            case "Meter":
                serial = text_of(element, "serialNumber")
                if serial is not None:
                    parent = entry.parent_path
                    self._meters.append(_Meter(entry.self_path, parent, entry.related, serial))
            case _:
                pass

    def sites(self, options: ReadOptions, scheme: str) -> Iterator[Site]:
        """What is told of each usage point's site."""
        serials: dict[str, set[str]] = {}
        for meter in self._meters:
            for path in {meter.path, meter.parent_path, *meter.related} - {""}:
                serials.setdefault(path, set()).add(meter.serial)
        for location in self._locations:
            paths = {location.path, location.parent_path, *location.related} - {""}
            meters = set[str]().union(*(serials.get(path, ()) for path in paths))
            for point in location.points:
                yield Site(
                    site_id=options.site_id(
                        scheme=scheme, value=point.rpartition("/")[2], line=location.line
                    ),
                    position=location.position,
                    meter_ids=tuple(sorted(meters)),
                )


def _location(entry: Entry, element: Element) -> _Location:
    points = element.iter("{*}UsagePoint")
    try:
        paths = tuple(path_of(point.text or "") for point in points)
    except ValueError as error:
        raise Defect(line_of(element), f"no address: {error}") from None
    position = _position(element)
    return _Location(entry.self_path, entry.parent_path, entry.related, position, paths, entry.line)


def _position(element: Element) -> Position | None:
    """Degrees of WGS 84: x is the longitude, y the latitude."""
    point = child(element, "positionPoints")
    if point is None:
        return None
    try:
        return Position(
            latitude_deg=parse_number(required_text(point, "yPosition")),
            longitude_deg=parse_number(required_text(point, "xPosition")),
        )
    except ValueError as error:
        raise Defect(line_of(point), str(error)) from None
