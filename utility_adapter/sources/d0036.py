"""Britain's half-hourly consumption flow D0036 (Data Transfer Catalogue, user file format).

Values have one decimal of a kWh. Over real households that moves a day's sum by more than 5 %
every fourth day, so every fact of this format carries a step of 100 Wh: good for totals, too
coarse to see one cable by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from gridcord.units import Calendar, Period, SiteId
from gridcord.units.period import HALF_HOUR_S
from utility_adapter.domain.readings import Register
from utility_adapter.sources import quality_codes
from utility_adapter.sources.amounts import MICRO_PER_WH, recurring_amount
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.document import lines
from utility_adapter.sources.period_fold import Interval, PeriodFold
from utility_adapter.sources.source import Document, Item, Note, NoteKind, ReadOptions, Values

SCHEME = "mpan"
STEP_WH = 100
_REGISTERS = {"AI": Register.IMPORT, "AE": Register.EXPORT}
_REACTIVE = ("RI", "RE", "UN")


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    kind: str
    fields: list[str]

    def get(self, index: int) -> str:
        return self.fields[index].strip() if index < len(self.fields) else ""


def read_d0036(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Active import and export of each MPAN."""
    yield from _Flow(document, options).items()


class _Flow:
    def __init__(self, document: Document, options: ReadOptions) -> None:
        self._document = document
        self._options = options
        self._calendar = Calendar(options.d0036_zone, HALF_HOUR_S)
        self._revision = 0
        self._site_id: SiteId | None = None
        self._quantity = ""
        self._day: date | None = None
        self._values: list[_Row] = []

    def items(self) -> Iterator[Item]:
        for row in _rows(self._document, self._options):
            if row.kind == "103":
                self._add(row)
                continue
            yield from self._finished_day()
            match row.kind:
                case "ZHV":
                    self._revision = _time(row, 6)
                case "101":
                    yield from self._begin(row)
                case "102":
                    self._begin_day(row)
                case "ZPT":
                    pass
                case _:
                    raise Defect(row.line, f"no record of D0036: {row.kind[:20]!r}")

    def _begin(self, row: _Row) -> Iterator[Item]:
        mpan, self._quantity, self._site_id = row.get(0), row.get(1), None
        if not (len(mpan) == 13 and mpan.isascii() and mpan.isdecimal()):
            raise Defect(row.line, f"an MPAN has 13 digits: {mpan[:20]!r}")
        if self._quantity in _REACTIVE:
            text = f"{mpan} {self._quantity} is no active energy"
            yield Note(kind=NoteKind.STREAM_SKIPPED, line=row.line, text=text)
            return
        if self._quantity not in _REGISTERS:
            raise Defect(row.line, f"no measurement quantity: {self._quantity[:20]!r}")
        self._site_id = self._options.site_id(scheme=SCHEME, value=mpan, line=row.line)

    def _begin_day(self, row: _Row) -> None:
        if not self._quantity:
            raise Defect(row.line, "102 without a 101 above it")
        self._day = _date(row, row.get(0))

    def _add(self, row: _Row) -> None:
        if self._day is None:
            raise Defect(row.line, "103 without a 102 above it")
        self._values.append(row)

    def _finished_day(self) -> Iterator[Item]:
        day, values = self._day, self._values
        self._day, self._values = None, []
        if day is None:
            return
        periods = self._calendar.periods_of(day)
        if len(values) != len(periods):
            line = values[-1].line if values else None
            raise Defect(line, f"{day} has {len(periods)} half hours, not {len(values)}")
        if self._site_id is not None:
            fold = PeriodFold(self._options.period_s)
            folded = fold.push(map(self._interval, values, periods)) + fold.finish()
            yield Values(self._site_id, _REGISTERS[self._quantity], folded)

    def _interval(self, row: _Row, period: Period) -> Interval:
        indicator = row.get(0)
        if indicator not in quality_codes.D0036:
            raise Defect(row.line, f"no actual/estimated indicator: {indicator[:20]!r}")
        try:
            micro_wh, step = recurring_amount(row.get(1))
        except ValueError as error:
            raise Defect(row.line, str(error)) from None
        if micro_wh < 0:
            raise Defect(row.line, f"a negative value: {row.get(1)}")
        return Interval(
            period.start_s,
            period.length_s,
            micro_wh,
            max(step, STEP_WH * MICRO_PER_WH),
            quality_codes.D0036[indicator],
            self._revision,
            indicator,
            row.line,
        )


def _rows(document: Document, options: ReadOptions) -> Iterator[_Row]:
    """All records from the ZHV to the ZPT, whose count must be right."""
    count, line, ended = -1, 1, False
    for line, text in lines(document, options.limits):
        kind, _, rest = text.partition("|")
        row = _Row(line, kind, rest.split("|"))
        if ended:
            raise Defect(line, "a record after the ZPT")
        if (count < 0) != (kind == "ZHV") or (kind == "ZHV" and not row.get(1).startswith("D0036")):
            raise Defect(line, "a file begins with one ZHV of flow D0036")
        ended = kind == "ZPT"
        if ended and row.get(1) != str(count):
            raise Defect(line, f"{count} records, but the ZPT counts {row.get(1)[:20]!r}")
        if ended:
            _time(row, 4)  # the last field: cut off without it
        count += 1
        yield row
    if not ended:
        raise Defect(line, "cut off: no ZPT record at the end")


def _time(row: _Row, index: int) -> int:
    text = row.get(index)
    try:
        if len(text) != 14 or not (text.isascii() and text.isdecimal()):
            raise ValueError(text)
        at_s = int(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise Defect(row.line, f"no time: {text[:20]!r}") from None
    if at_s < 0:
        raise Defect(row.line, f"before 1970: {text[:20]!r}")
    return at_s


def _date(row: _Row, text: str) -> date:
    try:
        if len(text) != 8 or not (text.isascii() and text.isdecimal()):
            raise ValueError(text)
        day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Defect(row.line, f"no date: {text[:20]!r}") from None
    if not 1970 < day.year < 9999:
        raise Defect(row.line, f"no such settlement date: {text[:20]!r}")
    return day
