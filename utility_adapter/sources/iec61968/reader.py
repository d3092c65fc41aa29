"""Meter readings of head-end systems: IEC 61968-9, EventMessage of noun MeterReadings.

Registers are cumulative and are differenced, so that nothing drifts; intervals (deltaData) are
taken as they are. A timestamp is the end of its interval.
"""

from __future__ import annotations

from collections.abc import Iterator

from gridcord.units import SiteId
from utility_adapter.domain.readings import DataQuality, Register
from utility_adapter.sources import quality_codes
from utility_adapter.sources.amounts import MICRO_PER_WH, parse_amount
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.document import only_part
from utility_adapter.sources.iec61968.reading_type import ReadingType, parse_reading_type
from utility_adapter.sources.period_fold import Interval, PeriodFold
from utility_adapter.sources.register_chain import RegisterChain
from utility_adapter.sources.source import (
    Document,
    Item,
    Note,
    NoteKind,
    ReadOptions,
    RegisterRead,
    Values,
)
from utility_adapter.sources.times import parse_time
from utility_adapter.sources.xml_stream import (
    Element,
    child,
    children,
    elements,
    line_of,
    local_name,
    required_text,
    text_of,
)

SCHEME = "iec.meter"


def read_iec61968(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Import and export of each meter, and the last read of each cumulative register."""
    yield from _Message(document, options).items()


class _Message:
    def __init__(self, document: Document, options: ReadOptions) -> None:
        self._document = document
        self._options = options
        self._revision = 0
        self._folds: dict[tuple[SiteId, Register], PeriodFold] = {}
        self._chains: dict[tuple[SiteId, Register], RegisterChain] = {}
        self._skipped: set[str] = set()

    def items(self) -> Iterator[Item]:
        found = elements(
            only_part(self._document).open,
            tags=("Header", "MeterReading"),
            release=("MeterReading",),
            limits=self._options.limits,
        )
        for element in found:
            if local_name(element) == "Header":
                self._begin(element)
            else:
                yield from self._meter(element)
        for (site_id, register), fold in self._folds.items():
            yield Values(site_id, register, fold.finish())
        for chain in self._chains.values():
            yield chain.last

    def _begin(self, header: Element) -> None:
        noun = text_of(header, "Noun")
        if noun is not None and noun != "MeterReadings":
            raise Defect(line_of(header), f"a message about {noun[:40]!r}")
        stamp = text_of(header, "Timestamp")
        if stamp is not None:
            self._revision = _time(header, stamp)

    def _meter(self, reading: Element) -> Iterator[Item]:
        meter = child(reading, "Meter")
        if meter is None:
            raise Defect(line_of(reading), "MeterReading without Meter")
        site_id = self._options.site_id(
            scheme=SCHEME, value=required_text(meter, "mRID"), line=line_of(meter)
        )
        for block in children(reading, "IntervalBlocks"):
            yield from self._block(site_id, block)

    def _block(self, site_id: SiteId, block: Element) -> Iterator[Item]:
        type_element = child(block, "ReadingType")
        code = type_element.get("ref") if type_element is not None else None
        try:
            kind = parse_reading_type(code or "")
        except ValueError as error:
            raise Defect(line_of(block), str(error)) from None
        if kind is None:
            yield from self._skip(block, code or "")
            return
        for value in children(block, "IntervalReadings"):
            if kind.cumulative:
                yield from self._register(site_id, kind, value)
            else:
                yield from self._delta(site_id, kind, value)

    def _skip(self, block: Element, code: str) -> Iterator[Item]:
        if code not in self._skipped:
            self._skipped.add(code)
            text = f"{code} is no active energy of one direction"
            yield Note(kind=NoteKind.STREAM_SKIPPED, line=line_of(block), text=text)

    def _register(self, site_id: SiteId, kind: ReadingType, value: Element) -> Iterator[Item]:
        quality = _quality(value)
        if quality is None:
            return
        if kind.length_s is not None and kind.length_s > self._options.period_s:
            reason = f"reads every {kind.length_s} s are longer apart than a period"
            raise Defect(line_of(value), reason)
        micro_wh, step = _amount(value, kind.exponent)
        read = RegisterRead(
            site_id=site_id,
            register=kind.register,
            at_s=_time(value, required_text(value, "timeStamp")),
            wh=micro_wh // MICRO_PER_WH,  # a register is cut, not rounded
            step_wh=max(1, step // MICRO_PER_WH),
            quality=quality,
        )
        chain = self._chain(site_id, kind.register)
        for item in chain.push(read, revision=self._revision, line=line_of(value)):
            if isinstance(item, Interval):
                yield Values(site_id, kind.register, [item])
            else:
                yield item

    def _delta(self, site_id: SiteId, kind: ReadingType, value: Element) -> Iterator[Item]:
        if kind.length_s is None:
            raise Defect(line_of(value), "a reading type that names no interval length")
        quality = _quality(value)
        micro_wh, step = _amount(value, kind.exponent)
        interval = Interval(
            _time(value, required_text(value, "timeStamp")) - kind.length_s,
            kind.length_s,
            micro_wh if quality is not None else None,
            step,
            quality or DataQuality.QUESTIONABLE,
            self._revision,
            "",
            line_of(value),
        )
        fold = self._fold(site_id, kind.register, line_of(value))
        yield Values(site_id, kind.register, fold.push([interval]))

    def _fold(self, site_id: SiteId, register: Register, line: int) -> PeriodFold:
        if (site_id, register) not in self._folds:
            self._check_names(len(self._folds), line)
            self._folds[site_id, register] = PeriodFold(self._options.period_s)
        return self._folds[site_id, register]

    def _chain(self, site_id: SiteId, register: Register) -> RegisterChain:
        key = (site_id, register)
        if key not in self._chains:
            self._check_names(len(self._chains), 1)
            known = self._options.known_registers.get(key)
            self._chains[key] = RegisterChain(self._options.period_s, known)
        return self._chains[key]

    def _check_names(self, count: int, line: int) -> None:
        if count >= self._options.limits.names:
            raise Defect(line, f"more than {self._options.limits.names} registers")


def _amount(value: Element, exponent: int) -> tuple[int, int]:
    try:
        micro_wh, step = parse_amount(required_text(value, "value"), exponent)
    except ValueError as error:
        raise Defect(line_of(value), str(error)) from None
    if micro_wh < 0:
        raise Defect(line_of(value), f"a negative value: {text_of(value, 'value')}")
    return micro_wh, step


def _time(element: Element, text: str) -> int:
    """Whole seconds; the fraction that systems append is cut."""
    whole, _, fraction = text.partition(".")
    zone = fraction.lstrip("0123456789")
    try:
        return parse_time(whole + zone)
    except (ValueError, OverflowError) as error:
        raise Defect(line_of(element), str(error)) from None


def _quality(value: Element) -> DataQuality | None:
    codes = [
        found.get("ref") or ""
        for qualities in children(value, "ReadingQualities")
        for found in children(qualities, "ReadingQualityType")
    ]
    return quality_codes.iec_quality(codes)
