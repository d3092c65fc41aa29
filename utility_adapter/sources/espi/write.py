"""Writing Green Button feeds (NAESB ESPI 4.0): transfers, and readings of sites.

A cable at a site is a virtual UsagePoint below the site's customer address. Charging is energy
delivered to it (forward, 1), discharging energy received from it (reverse, 19). Every UTC day is
one IntervalBlock, so a long series never is one element.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from lxml import etree

from utility_adapter.domain.readings import ReadingFact, Register
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources.espi.entry import ATOM, ESPI
from utility_adapter.sources.espi.index import (
    DELTA_DATA,
    ELECTRICITY_KIND,
    FORWARD,
    REVERSE,
    WATT_HOURS,
)
from utility_adapter.sources.espi.virtual import virtual_path
from utility_adapter.sources.quality_codes import ESPI_CODE
from utility_adapter.sources.series import (
    Series,
    SeriesValue,
    reading_series,
    transfer_series,
)
from utility_adapter.sources.times import format_time
from utility_adapter.sources.xml_stream import Element

ROOT = "https://gridcord.invalid/DataCustodian/espi/1_1/resource"
_DAY_S = 86_400
_TIME_PATH = "LocalTimeParameters/01"
_NAMESPACES: Any = {None: ATOM, "espi": ESPI}  # the stubs know no default namespace
_FLOWS = {Register.IMPORT: FORWARD, Register.EXPORT: REVERSE}
_SECONDARY_METERED, _NORMAL, _ENERGY, _UTC = 1, 12, 12, "00000000"


def write_espi_transfers(
    transfers: Iterable[PeriodTransfer], out: BinaryIO, *, written_at_s: int
) -> None:
    """Write a feed with a virtual usage point for every cable at a site.

    Raises:
        NotExpressible: Not sorted by site, cable and period, or one of them twice.
    """
    _write(transfer_series(transfers, written_at_s=written_at_s), out, written_at_s)


def write_espi_readings(facts: Iterable[ReadingFact], out: BinaryIO, *, written_at_s: int) -> None:
    """Write a feed with a usage point for every site; revisions stand as times of update.

    Raises:
        NotExpressible: Not sorted by site and period, or one of them twice.
    """
    _write(reading_series(facts), out, written_at_s)


def _write(series: Iterable[Series], out: BinaryIO, written_at_s: int) -> None:
    # lxml's stubs know no incremental writer.
    xmlfile: Any = etree.xmlfile(out, encoding="utf-8")
    with xmlfile as file:
        file.write_declaration()
        with file.element(f"{{{ATOM}}}feed", nsmap=_NAMESPACES):
            for element in _feed_head(written_at_s):
                file.write(element)
            file.write(_Entry(_TIME_PATH, "UTC", (), _local_time(), written_at_s).element())
            types: set[str] = set()
            for one in series:
                for entry in _Point(one, written_at_s, types).entries():
                    file.write(entry)


def _feed_head(written_at_s: int) -> Iterator[Element]:
    yield _atom("id", f"urn:uuid:{uuid5(NAMESPACE_URL, f'{ROOT}/{written_at_s}')}")
    yield _atom("title", "Energy by period")
    yield _atom("updated", format_time(written_at_s))


def _atom(name: str, text: str) -> Element:
    element = etree.Element(f"{{{ATOM}}}{name}", nsmap=_NAMESPACES)
    element.text = text
    return element


def _espi(name: str, *content: Element | int | str) -> Element:
    """An element of the usage namespace, with children or a text."""
    element = etree.Element(f"{{{ESPI}}}{name}", nsmap={"espi": ESPI})
    for part in content:
        if isinstance(part, int | str):
            element.text = str(part)
        else:
            element.append(part)
    return element


@dataclass(frozen=True, slots=True)
class _Entry:
    """An Atom entry to be written."""

    path: str
    title: str
    related: tuple[str, ...]
    content: Element
    updated_s: int

    def element(self) -> Element:
        """The entry; its id is made of its address, so the same thing keeps its id."""
        href = f"{ROOT}/{self.path}"
        entry = etree.Element(f"{{{ATOM}}}entry", nsmap=_NAMESPACES)
        entry.append(_atom("id", f"urn:uuid:{uuid5(NAMESPACE_URL, href)}"))
        entry.append(_link("self", self.path))
        entry.append(_link("up", self.path.rpartition("/")[0]))
        entry.extend(_link("related", path) for path in self.related)
        entry.append(_atom("title", self.title))
        content = etree.SubElement(entry, f"{{{ATOM}}}content", type="xml")
        content.append(self.content)
        entry.append(_atom("published", format_time(self.updated_s)))
        entry.append(_atom("updated", format_time(self.updated_s)))
        return entry


def _link(rel: str, path: str) -> Element:
    return etree.Element(f"{{{ATOM}}}link", rel=rel, href=f"{ROOT}/{path}")


class _Point:
    """The entries of one usage point."""

    def __init__(self, series: Series, written_at_s: int, types: set[str]) -> None:
        self._series = series
        self._types = types  # addresses of the reading types that the feed holds already
        self._written_at_s = written_at_s
        value = series.site_id.partition(":")[2]
        self._path = f"UsagePoint/{quote(value, safe='')}"
        self._title: str = series.site_id
        if series.cable_id is not None:
            self._path = virtual_path(site_id=series.site_id, cable_id=series.cable_id)
            self._title = f"{series.cable_id} at {series.site_id}"

    def entries(self) -> Iterator[Element]:
        streams = f"{self._path}/MeterReading"
        yield self._entry(self._path, self._usage_point(), (streams, _TIME_PATH))
        for register in self._series.registers:
            path = f"{streams}/{register.value.lower()}"
            type_path = f"ReadingType/{register.value.lower()}-{self._series.length_s}"
            yield self._entry(path, _espi("MeterReading"), (f"{path}/IntervalBlock", type_path))
            if type_path not in self._types:
                self._types.add(type_path)
                yield self._entry(type_path, self._reading_type(register), ())
            yield from self._blocks(path, register)

    def _entry(
        self,
        path: str,
        content: Element,
        related: tuple[str, ...],
        updated_s: int | None = None,
    ) -> Element:
        at_s = self._written_at_s if updated_s is None else updated_s
        return _Entry(path, self._title, related, content, at_s).element()

    def _usage_point(self) -> Element:
        point = _espi(
            "UsagePoint",
            _espi("ServiceCategory", _espi("kind", ELECTRICITY_KIND)),
            _espi("status", 1),
        )
        if self._series.cable_id is not None:
            point.append(_espi("isVirtual", "true"))
        return point

    def _reading_type(self, register: Register) -> Element:
        return _espi(
            "ReadingType",
            _espi("accumulationBehaviour", DELTA_DATA),
            _espi("commodity", _SECONDARY_METERED),
            _espi("dataQualifier", _NORMAL),
            _espi("flowDirection", _FLOWS[register]),
            _espi("intervalLength", self._series.length_s),
            _espi("kind", _ENERGY),
            _espi("powerOfTenMultiplier", 0),
            _espi("uom", WATT_HOURS),
        )

    def _blocks(self, path: str, register: Register) -> Iterator[Element]:
        stated = (value for value in self._series.values if value.wh(register) is not None)
        days = groupby(stated, key=lambda value: value.period.start_s // _DAY_S)
        for number, (day, group) in enumerate(days, 1):
            values = list(group)
            block = _espi(
                "IntervalBlock",
                _espi("interval", _espi("duration", _DAY_S), _espi("start", day * _DAY_S)),
                *(_interval_reading(value, register) for value in values),
            )
            updated_s = max(value.updated_s for value in values)
            yield self._entry(f"{path}/IntervalBlock/{number}", block, (), updated_s)


def _interval_reading(value: SeriesValue, register: Register) -> Element:
    period = value.period
    return _espi(
        "IntervalReading",
        _espi("ReadingQuality", _espi("quality", ESPI_CODE[value.quality])),
        _espi("timePeriod", _espi("duration", period.length_s), _espi("start", period.start_s)),
        _espi("value", value.wh(register) or 0),
    )


def _local_time() -> Element:
    """UTC, without summer time."""
    return _espi(
        "LocalTimeParameters",
        _espi("dstEndRule", _UTC),
        _espi("dstOffset", 0),
        _espi("dstStartRule", _UTC),
        _espi("tzOffset", 0),
    )
