"""Records of AEMO's NEM12 files (Meter Data File Format Specification NEM12 & NEM13)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gridcord.units import SiteId
from utility_adapter.domain.readings import DataQuality, Register
from utility_adapter.sources import quality_codes
from utility_adapter.sources.amounts import recurring_amount
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.document import comma_fields, lines
from utility_adapter.sources.period_fold import Interval
from utility_adapter.sources.source import Document, ReadOptions

SCHEME = "nmi"
DAY_MINUTES = 24 * 60
LENGTHS_MINUTES = (5, 15, 30)
REGISTERS = {"E": Register.IMPORT, "B": Register.EXPORT}
_EXPONENTS = {"WH": 0, "KWH": 3, "MWH": 6}
_METHOD = re.compile(r"([AEFNSV])([0-9]{2})?")
_SUFFIXES = re.compile(r"(?:[A-Z][A-Z0-9])+")
_VARIABLE = "V"
_DATE, _MINUTE, _SECOND = "%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S"
_DIGITS = {_DATE: 8, _MINUTE: 12, _SECOND: 14}


@dataclass(frozen=True, slots=True)
class Row:
    """One record: where it stands, and its fields."""

    line: int
    fields: list[str]

    def get(self, index: int) -> str:
        """A field, stripped; empty when the record ends before it."""
        return self.fields[index].strip() if index < len(self.fields) else ""


@dataclass(frozen=True, slots=True)
class Channel:
    """A 200 record: one data stream of one NMI.

    Args:
        nmi: National metering identifier.
        site_id: Its site.
        configuration: The suffixes of all streams of the NMI.
        suffix: The suffix of this one.
        serial: The meter's serial number.
        exponent: Power of ten of its unit in Wh; None where it is no energy.
        length_minutes: Of its intervals.
        line: Where it stands.
        created_s: When the file was made, seconds since 1970 UTC.
    """

    nmi: str
    site_id: SiteId
    configuration: tuple[str, ...]
    suffix: str
    serial: str
    exponent: int | None
    length_minutes: int
    line: int
    created_s: int

    @property
    def register(self) -> Register | None:
        """The site's register that it counts; None for reactive energy and the like."""
        return REGISTERS.get(self.suffix[0])


@dataclass(slots=True)
class Day:
    """A 300 record with the 400 records below it."""

    channel: Channel
    row: Row
    events: list[Row] = field(default_factory=list)


def days(document: Document, options: ReadOptions) -> Iterator[Day]:
    """The days of every stream, in the file's order.

    Files that were joined to one are read one after the other; B2B records (500) are passed
    over.

    Raises:
        Defect: No NEM12, cut off, or records out of place.
    """
    created_s, channel, day = 0, None, None
    for row in _rows(document, options):
        if row.get(0) == "400":
            if day is None:
                raise Defect(row.line, "400 without a 300 above it")
            day.events.append(row)
            continue
        if day is not None:
            yield day
            day = None
        match row.get(0):
            case "100":
                created_s, channel = _time(row, 2, options), None
            case "200":
                channel = _channel(row, created_s, options)
            case "300":
                if channel is None:
                    raise Defect(row.line, "300 without a 200 above it")
                day = Day(channel, row)
            case "500" | "900":
                pass
            case other:
                raise Defect(row.line, f"no record of NEM12: {other[:20]!r}")


def _rows(document: Document, options: ReadOptions) -> Iterator[Row]:
    """All records, of which the first of a file is a 100 and the last a 900."""
    inside, line = False, 1
    for line, text in lines(document, options.limits):
        row = Row(line, comma_fields(text, line))
        begins = row.get(0) == "100"
        if begins and (inside or row.get(1).upper() != "NEM12"):
            reason = "a 100 before the 900" if inside else f"no NEM12: {row.get(1)[:20]!r}"
            raise Defect(line, reason)
        if not (begins or inside):
            raise Defect(line, "a record outside of 100 ... 900")
        inside = row.get(0) != "900"
        yield row
    if inside or line == 1:
        raise Defect(line, "cut off: no 900 record at the end")


def _channel(row: Row, created_s: int, options: ReadOptions) -> Channel:
    nmi, configuration, suffix = row.get(1), row.get(2).upper(), row.get(4).upper()
    if not _SUFFIXES.fullmatch(configuration):
        raise Defect(row.line, f"no list of suffixes: {configuration[:40]!r}")
    suffixes = tuple(configuration[i : i + 2] for i in range(0, len(configuration), 2))
    if suffix not in suffixes:
        raise Defect(row.line, f"suffix {suffix[:20]!r} is not one of {configuration[:40]}")
    if row.get(8) not in map(str, LENGTHS_MINUTES):
        raise Defect(row.line, f"intervals of 5, 15 or 30 minutes, not {row.get(8)[:20]!r}")
    exponent = _EXPONENTS.get(row.get(7).upper())
    if suffix[0] in REGISTERS and exponent is None:
        raise Defect(row.line, f"{suffix} counts Wh, kWh or MWh, not {row.get(7)[:20]!r}")
    return Channel(
        nmi=nmi,
        site_id=options.site_id(scheme=SCHEME, value=nmi, line=row.line),
        configuration=suffixes,
        suffix=suffix,
        serial=row.get(6),
        exponent=exponent,
        length_minutes=int(row.get(8)),
        line=row.line,
        created_s=created_s,
    )


def intervals(day: Day, options: ReadOptions) -> Iterator[Interval]:
    """The intervals of a day, in order.

    Raises:
        Defect: Too few values, a value that is no number, a code that is none, or variable
            quality that the 400 records do not cover.
    """
    row, minutes = day.row, day.channel.length_minutes
    count = DAY_MINUTES // minutes
    if len(row.fields) < 2 + count:
        raise Defect(row.line, f"{count} values expected, not {max(0, len(row.fields) - 2)}")
    revision = _time(row, count + 5, options) if row.get(count + 5) else day.channel.created_s
    amounts = [_amount(row, 2 + i, day.channel.exponent) for i in range(count)]
    step = min(step for _, step in amounts)
    start_s = _midnight(row, options)
    for i, method in enumerate(_methods(day, count)):
        quality = quality_codes.NEM12[method[0]] if method else DataQuality.RAW
        yield Interval(
            start_s + i * minutes * 60,
            minutes * 60,
            amounts[i][0] if quality is not None else None,
            step,
            quality or DataQuality.QUESTIONABLE,
            revision,
            method,
            row.line,
        )


def _amount(row: Row, index: int, exponent: int | None) -> tuple[int, int]:
    assert exponent is not None  # only streams of energy have intervals
    try:
        amount, step = recurring_amount(row.fields[index], exponent)
    except ValueError as error:
        raise Defect(row.line, f"value {index - 1}: {error}") from None
    if amount < 0:
        raise Defect(row.line, f"value {index - 1} is negative: {row.get(index)}")
    return amount, step


def _methods(day: Day, count: int) -> list[str]:
    """The quality method of every interval: the day's, unless a 400 record names another."""
    code = row_method(day.row, 2 + count, optional=True)
    methods = [code] * count
    for event in day.events:
        first, last = _range(event, count)
        methods[first - 1 : last] = [row_method(event, 3)] * (last - first + 1)
    if _VARIABLE in (method[:1] for method in methods):
        reason = f"quality V, and the 400 records name none for interval {_uncovered(methods)}"
        raise Defect(day.row.line, reason)
    return methods


def _uncovered(methods: list[str]) -> int:
    return next(i for i, method in enumerate(methods, 1) if method.startswith(_VARIABLE))


def row_method(row: Row, index: int, *, optional: bool = False) -> str:
    """A quality method such as "A" or "S14".

    Raises:
        Defect: It is none.
    """
    code = row.get(index).upper()
    if not (optional and not code) and not _METHOD.fullmatch(code):
        raise Defect(row.line, f"no quality method: {code[:20]!r}")
    return code


def _range(event: Row, count: int) -> tuple[int, int]:
    first, last = event.get(1), event.get(2)
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= count):
        reason = f"no range of intervals 1 to {count}: {first[:10]!r} to {last[:10]!r}"
        raise Defect(event.line, reason)
    return int(first), int(last)


def _midnight(row: Row, options: ReadOptions) -> int:
    return _stamp(row, row.get(1), _DATE, options)


def _time(row: Row, index: int, options: ReadOptions) -> int:
    text = row.get(index)
    return _stamp(row, text, _SECOND if len(text) == _DIGITS[_SECOND] else _MINUTE, options)


def _stamp(row: Row, text: str, form: str, options: ReadOptions) -> int:
    """Seconds since 1970 UTC of a time in the file's standard time, which has no summer."""
    try:
        if len(text) != _DIGITS[form] or not (text.isascii() and text.isdecimal()):
            raise ValueError(text)
        local = datetime.strptime(text, form).replace(tzinfo=UTC)
        at_s = int((local - timedelta(seconds=options.nem12_offset_s)).timestamp())
    except (ValueError, OverflowError):
        raise Defect(row.line, f"no date or time: {text[:20]!r}") from None
    if at_s < 0:
        raise Defect(row.line, f"before 1970: {text[:20]!r}")
    return at_s
