"""Meter data files made by hand-written builders, one per format, with the values they hold.

The builders share nothing with the readers: they are the other side's view of each format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from gridcord.units import Period
from tests.unit.utility_adapter.snippets import (
    ESPI_POINT,
    HALF_HOUR_S,
    IEC_DELTA,
    IEC_REGISTER,
    espi_entry,
    espi_feed,
    espi_reading,
    espi_type,
    iec_message,
    iec_reading,
)
from utility_adapter.domain.readings import Register
from utility_adapter.sources.source import Format, ReadOptions

IMPORT, EXPORT = Register.IMPORT, Register.EXPORT
BOTH = (IMPORT, EXPORT)
RECEIVED_S = 1_800_000_000.0
OPTIONS = ReadOptions(received_at_s=RECEIVED_S)

Values = dict[tuple[str, int, Register], int]  # site id, start of the period, register -> Wh


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Sites and days, with a value for every half hour that anybody can compute."""

    sites: int = 2
    days: int = 2
    day: date = date(2026, 5, 15)

    def wh(self, site: int, register: Register, start_s: int, step_wh: int) -> int:
        seed = site * 7919 + start_s // HALF_HOUR_S * 31 + (17 if register is EXPORT else 0)
        return seed * 1103515245 % 1499 // step_wh * step_wh

    def every_day(self) -> Iterator[date]:
        return (self.day + timedelta(days=n) for n in range(self.days))


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Makes files of one format.

    Args:
        name: For test ids.
        format: What it must be recognised as.
        suffix: Of the file name.
        site_id: Site id of a site's number.
        zone: Local time of its days.
        registers: What one file holds.
        step_wh: How coarse its values are.
        chunks: The file.
    """

    name: str
    format: Format
    suffix: str
    site_id: Callable[[int], str]
    zone: str
    chunks: Callable[[Builder, Sample], Iterator[str]]
    registers: tuple[Register, ...] = BOTH
    step_wh: int = 1

    def starts(self, day: date) -> list[int]:
        """Starts of the half hours of a local day."""
        first, last = (
            int(datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(self.zone)).timestamp())
            for d in (day, day + timedelta(days=1))
        )
        return list(range(first, last, HALF_HOUR_S))

    def wh(self, sample: Sample, site: int, register: Register, start_s: int) -> int:
        return sample.wh(site, register, start_s, self.step_wh)

    def expected(self, sample: Sample) -> Values:
        return {
            (self.site_id(site), start_s, register): self.wh(sample, site, register, start_s)
            for site in range(sample.sites)
            for register in self.registers
            for day in sample.every_day()
            for start_s in self.starts(day)
        }

    def text(self, sample: Sample) -> str:
        return "".join(self.chunks(self, sample))

    def write(self, folder: Path, sample: Sample) -> Path:
        path = folder / f"{self.name}.{self.suffix}"
        with path.open("w", encoding="utf-8", newline="") as out:
            for chunk in self.chunks(self, sample):
                out.write(chunk)
        return path


def kwh(wh: int) -> str:
    return f"{wh // 1000}.{wh % 1000:03}"


def iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _csv(build: Builder, sample: Sample) -> Iterator[str]:
    yield "site_id,period_start,period_s,import_wh,export_wh,step_wh,quality,revision,method\n"
    count = 0
    for site in range(sample.sites):
        for day in sample.every_day():
            for start_s in build.starts(day):
                taken, given = (build.wh(sample, site, r, start_s) for r in BOTH)
                yield f"{build.site_id(site)},{iso(start_s)},1800,{taken},{given},1,VALID,0,\n"
                count += 1
    yield f"end,{count}\n"


def _nem12(build: Builder, sample: Sample) -> Iterator[str]:
    yield "100,NEM12,202605170010,MDP,RETAILER\n"
    for site in range(sample.sites):
        nmi = build.site_id(site).partition(":")[2]
        for suffix, register in (("E1", IMPORT), ("B1", EXPORT)):
            yield f"200,{nmi},E1B1,{suffix},{suffix},{suffix},SN{site:04},KWH,30,\n"
            for day in sample.every_day():
                values = (kwh(build.wh(sample, site, register, s)) for s in build.starts(day))
                yield f"300,{day:%Y%m%d},{','.join(values)},A,,,{day:%Y%m%d}235900,\n"
    yield "900\n"


def _d0036(build: Builder, sample: Sample) -> Iterator[str]:
    yield "ZHV|0000000001|D0036001|C|DCOL|X|SUPP|20260516001000||||TEST|\n"
    count = 0
    for site in range(sample.sites):
        mpan = build.site_id(site).partition(":")[2]
        for quantity, register in (("AI", IMPORT), ("AE", EXPORT)):
            yield f"101|{mpan}|{quantity}|SUPP|\n"
            count += 1
            for day in sample.every_day():
                yield f"102|{day:%Y%m%d}|\n"
                count += 1
                for start_s in build.starts(day):
                    wh = build.wh(sample, site, register, start_s)
                    yield f"103|A|{wh // 1000}.{wh % 1000 // 100}|\n"
                    count += 1
    yield f"ZPT|0000000001|{count}||{sample.sites}|20260516001001|\n"


def _japan_provisional(build: Builder, sample: Sample) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<SBD-MSG><JPMGRP>\n'
    for day in sample.every_day():
        yield f"<JPTRM><JP06116>{day:%Y%m%d}</JP06116><JPM00010>\n"
        for number, start_s in enumerate(build.starts(day), 1):
            yield f"<JPMR00010><JP06219>{number:02}</JP06219><JPM00011>\n"
            for site in range(sample.sites):
                point = build.site_id(site).partition(":")[2]
                value = kwh(build.wh(sample, site, IMPORT, start_s))
                yield f"<JPMR00011><JP06400>{point}</JP06400><JP06122>0</JP06122>"
                yield f"<JP06125>{value}</JP06125></JPMR00011>\n"
            yield "</JPM00011></JPMR00010>\n"
        yield "</JPM00010></JPTRM>\n"
    yield "</JPMGRP></SBD-MSG>\n"


def _japan_confirmed(build: Builder, sample: Sample) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield "<SBD-MSG><JPMGRP><JPTRM><JP06401>202605</JP06401><JPM00010>\n"
    for site in range(sample.sites):
        point = build.site_id(site).partition(":")[2]
        yield f"<JPMR00010><JP06400>{point}</JP06400><JP06405>0</JP06405><JPM00013>\n"
        for day in sample.every_day():
            yield f"<JPMR00013><JP06423>{day:%Y%m%d}</JP06423><JPM00014>\n"
            for number, start_s in enumerate(build.starts(day), 1):
                value = kwh(build.wh(sample, site, IMPORT, start_s))
                yield f"<JPMR00014><JP06219>{number:02}</JP06219>"
                yield f"<JP06424>{value}</JP06424></JPMR00014>\n"
            yield "</JPM00014></JPMR00013>\n"
        yield "</JPM00013></JPMR00010>\n"
    yield "</JPM00010></JPTRM></JPMGRP></SBD-MSG>\n"


def _iec_delta(build: Builder, sample: Sample) -> Iterator[str]:
    def readings(site: int, register: Register) -> Iterator[str]:
        for day in sample.every_day():
            for start_s in build.starts(day):
                value = build.wh(sample, site, register, start_s)
                yield iec_reading(start_s + HALF_HOUR_S, str(value))

    return iec_message(
        (
            build.site_id(site).partition(":")[2],
            [(IEC_DELTA[r], readings(site, r)) for r in BOTH],
        )
        for site in range(sample.sites)
    )


def _iec_registers(build: Builder, sample: Sample) -> Iterator[str]:
    """A register that shows tenths of a Wh, read every quarter of an hour."""

    def readings(site: int, register: Register) -> Iterator[str]:
        shown_wh = 6_519_095 + 1000 * site
        starts = [s for day in sample.every_day() for s in build.starts(day)]
        yield iec_reading(starts[0], kwh(shown_wh) + "5")
        for start_s in starts:
            value = build.wh(sample, site, register, start_s)
            yield iec_reading(start_s + 900, kwh(shown_wh + value // 3) + "9")
            shown_wh += value
            yield iec_reading(start_s + HALF_HOUR_S, kwh(shown_wh) + "5")

    return iec_message(
        (
            build.site_id(site).partition(":")[2],
            [(IEC_REGISTER[r], readings(site, r)) for r in BOTH],
        )
        for site in range(sample.sites)
    )


def _espi(build: Builder, sample: Sample) -> Iterator[str]:
    def entries() -> Iterator[str]:
        for site in range(sample.sites):
            point = f"RetailCustomer/1/UsagePoint/{build.site_id(site).partition(':')[2]}"
            yield espi_entry(point, ESPI_POINT, f"{point}/MeterReading")
            for flow, register in ((1, IMPORT), (19, EXPORT)):
                stream = f"{point}/MeterReading/{flow}"
                kind = f"ReadingType/{flow}"
                blocks = f"{stream}/IntervalBlock"
                yield espi_entry(stream, "<espi:MeterReading/>", f"{blocks} {kind}")
                yield espi_entry(kind, espi_type(flow))
                for number, day in enumerate(sample.every_day()):
                    readings = "".join(
                        espi_reading(s, build.wh(sample, site, register, s), quality="0")
                        for s in build.starts(day)
                    )
                    content = f"<espi:IntervalBlock>{readings}</espi:IntervalBlock>"
                    yield espi_entry(f"{blocks}/{number}", content)

    return espi_feed(entries())


def _id(scheme: str, digits: int) -> Callable[[int], str]:
    return lambda site: f"{scheme}:{site + 1:0{digits}}"


CSV = Builder(
    name="csv",
    format=Format.CSV_READINGS,
    suffix="csv",
    site_id=_id("obis", 6),
    zone="UTC",
    chunks=_csv,
)
NEM12 = Builder(
    name="nem12",
    format=Format.NEM12,
    suffix="csv",
    site_id=_id("nmi", 10),
    zone="Etc/GMT-10",
    chunks=_nem12,
)
D0036 = Builder(
    name="d0036",
    format=Format.D0036,
    suffix="usr",
    site_id=_id("mpan", 13),
    zone="Europe/London",
    chunks=_d0036,
    step_wh=100,
)
JAPAN_PROVISIONAL = Builder(
    name="japan-provisional",
    format=Format.JAPAN_30_MINUTE,
    suffix="xml",
    site_id=_id("jp.point", 22),
    zone="Asia/Tokyo",
    chunks=_japan_provisional,
    registers=(IMPORT,),
)
JAPAN_CONFIRMED = Builder(
    name="japan-confirmed",
    format=Format.JAPAN_30_MINUTE,
    suffix="xml",
    site_id=_id("jp.point", 22),
    zone="Asia/Tokyo",
    chunks=_japan_confirmed,
    registers=(IMPORT,),
)
IEC_DELTAS = Builder(
    name="iec-delta",
    format=Format.IEC_61968_9,
    suffix="xml",
    site_id=_id("iec.meter", 8),
    zone="Asia/Taipei",
    chunks=_iec_delta,
)
IEC_REGISTERS = Builder(
    name="iec-registers",
    format=Format.IEC_61968_9,
    suffix="xml",
    site_id=_id("iec.meter", 8),
    zone="Asia/Taipei",
    chunks=_iec_registers,
)
ESPI = Builder(
    name="espi", format=Format.ESPI, suffix="xml", site_id=_id("espi", 4), zone="UTC", chunks=_espi
)
BUILDERS = (
    CSV,
    NEM12,
    D0036,
    JAPAN_PROVISIONAL,
    JAPAN_CONFIRMED,
    IEC_DELTAS,
    IEC_REGISTERS,
    ESPI,
)


def period(start_s: int) -> Period:
    return Period(start_s, HALF_HOUR_S)
