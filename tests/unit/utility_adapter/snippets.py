"""Pieces of XML meter data, as the other side would write them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from zoneinfo import ZoneInfo

from utility_adapter.domain.readings import Register

IMPORT, EXPORT = Register.IMPORT, Register.EXPORT
HALF_HOUR_S = 1800

_IEC_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<EventMessage xmlns="http://iec.ch/TC57/2011/schema/message">
<Header><Verb>created</Verb><Noun>MeterReadings</Noun>
<Timestamp>2026-05-17T08:42:21.539+08:00</Timestamp></Header>
<Payload><MeterReadings xmlns="http://iec.ch/TC57/2011/MeterReadings#">
"""
_IEC_TAIL = "</MeterReadings></Payload></EventMessage>\n"


def iec_reading(at_s: int, value: str, quality: str = "1.0.0") -> str:
    stamp = datetime.fromtimestamp(at_s, ZoneInfo("Asia/Taipei")).isoformat(timespec="milliseconds")
    return (
        f"<IntervalReadings><timeStamp>{stamp}</timeStamp><value>{value}</value>"
        f'<ReadingQualities><ReadingQualityType ref="{quality}"/></ReadingQualities>'
        "</IntervalReadings>\n"
    )


def iec_message(meters: Iterator[tuple[str, list[tuple[str, Iterator[str]]]]]) -> Iterator[str]:
    """A message: meters, of each its blocks, of each reading type and readings."""
    yield _IEC_HEAD
    for meter, blocks in meters:
        yield "<MeterReading>\n"
        for reading_type, readings in blocks:
            yield "<IntervalBlocks>\n"
            yield from readings
            yield f'<ReadingType ref="{reading_type}"/></IntervalBlocks>\n'
        yield f"<Meter><mRID>{meter}</mRID></Meter></MeterReading>\n"
    yield _IEC_TAIL


IEC_DELTA = {r: f"0.0.5.4.{d}.1.12.0.0.0.0.0.0.0.0.0.72.0" for r, d in ((IMPORT, 1), (EXPORT, 19))}
IEC_REGISTER = {
    r: f"0.0.2.9.{d}.2.12.0.0.0.0.0.0.0.0.3.72.0" for r, d in ((IMPORT, 1), (EXPORT, 19))
}


_ESPI_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:espi="http://naesb.org/espi">
<id>urn:uuid:cab5e6e2-0c02-4543-9739-656b987ed6b0</id><title>30-minute values</title>
<updated>2026-05-16T00:10:00Z</updated>
"""
_ESPI_ROOT = "https://utility.example/DataCustodian/espi/1_1/resource"


def espi_entry(path: str, content: str, related: str = "", updated: str = "") -> str:
    links = f'<link rel="self" href="{_ESPI_ROOT}/{path}"/>'
    links += f'<link rel="up" href="{_ESPI_ROOT}/{path.rpartition("/")[0]}"/>'
    links += "".join(
        f'<link rel="related" href="{_ESPI_ROOT}/{other}"/>' for other in related.split()
    )
    stamp = updated or "2026-05-16T00:10:00Z"
    return f"<entry>{links}<content>{content}</content><updated>{stamp}</updated></entry>\n"


def espi_type(flow: int, length_s: int = HALF_HOUR_S, uom: int = 72, exponent: int = 0) -> str:
    return (
        "<espi:ReadingType><espi:accumulationBehaviour>4</espi:accumulationBehaviour>"
        f"<espi:commodity>1</espi:commodity><espi:flowDirection>{flow}</espi:flowDirection>"
        f"<espi:intervalLength>{length_s}</espi:intervalLength><espi:kind>12</espi:kind>"
        f"<espi:powerOfTenMultiplier>{exponent}</espi:powerOfTenMultiplier>"
        f"<espi:uom>{uom}</espi:uom></espi:ReadingType>"
    )


def espi_reading(start_s: int, value: int, length_s: int = HALF_HOUR_S, quality: str = "") -> str:
    told = f"<espi:ReadingQuality><espi:quality>{quality}</espi:quality></espi:ReadingQuality>"
    return (
        f"<espi:IntervalReading>{told if quality else ''}"
        f"<espi:timePeriod><espi:duration>{length_s}</espi:duration>"
        f"<espi:start>{start_s}</espi:start></espi:timePeriod>"
        f"<espi:value>{value}</espi:value></espi:IntervalReading>\n"
    )


def espi_feed(entries: Iterator[str]) -> Iterator[str]:
    return chain([_ESPI_HEAD], entries, ["</feed>\n"])


ESPI_POINT = (
    "<espi:UsagePoint><espi:ServiceCategory><espi:kind>0</espi:kind></espi:ServiceCategory>"
    "</espi:UsagePoint>"
)
