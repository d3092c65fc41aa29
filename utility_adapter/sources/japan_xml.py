"""Japan's 30-minute values (message SBD-MSG of the grid operators' standard), two families.

Provisional values come the same day, by period and supply point; confirmed values come with the
month's meter reading, by supply point, day and period, and replace them. Companies nest the
groups differently, so elements are found by their local names:

=========  =============================================================================
JP06116    day of the provisional values
JP06219    period 01 to 48 of the day, Japanese time
JP06400    supply point, 22 digits
JP06122    0: the provisional value is there
JP06123    provisional kWh, high voltage; JP06125 low voltage
JP06405    0: the confirmed values are there
JP06423    day of confirmed values; JP06424 kWh through the meter
=========  =============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

from gridcord.units import Calendar, Period, SiteId
from gridcord.units.period import HALF_HOUR_S
from utility_adapter.domain.readings import DataQuality
from utility_adapter.sources.amounts import parse_amount
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.document import only_part
from utility_adapter.sources.period_fold import Interval, PeriodFold
from utility_adapter.sources.source import Document, Item, Note, NoteKind, ReadOptions, Values
from utility_adapter.sources.xml_stream import (
    Element,
    child,
    elements,
    line_of,
    local_name,
    required_text,
    text_of,
)

SCHEME = "jp.point"
CONFIRMED_REVISION = 1_000_000  # above every re-issue of provisional values
_CALENDAR = Calendar("Asia/Tokyo", HALF_HOUR_S)
_GROUPS = ("JPMR00010", "JPMR00011")
_THERE = "0"


def read_japan(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Values of either family, of the register that the options name."""
    yield from _Message(document, options).items()


class _Message:
    def __init__(self, document: Document, options: ReadOptions) -> None:
        self._document = document
        self._options = options
        self._streams: dict[str, tuple[PeriodFold, SiteId]] = {}
        self._day: date | None = None
        self._number = 0

    def items(self) -> Iterator[Item]:
        found = elements(
            only_part(self._document).open,
            tags=("JP06116", "JP06219", *_GROUPS),
            release=_GROUPS,
            limits=self._options.limits,
        )
        groups = 0
        for element in found:
            match local_name(element):
                case "JP06116":
                    self._day = _date(element, (element.text or "").strip())
                case "JP06219":
                    self._number = _number(element, (element.text or "").strip())
                case _:
                    if child(element, "JP06400") is not None:
                        groups += 1
                        yield from self._group(element)
        if not groups:  # an unknown way to nest must not pass for an empty message
            raise Defect(None, "no supply point JP06400 in any group")
        for fold, site_id in self._streams.values():
            yield Values(site_id, self._options.japan_register, fold.finish())

    def _group(self, group: Element) -> Iterator[Item]:
        if child(group, "JP06405") is not None:
            return self._confirmed(group)
        return self._provisional(group)

    def _provisional(self, group: Element) -> Iterator[Item]:
        if text_of(group, "JP06122") != _THERE:
            return self._withheld(group)
        if self._day is None or not self._number:
            raise Defect(line_of(group), "a value before its day JP06116 or period JP06219")
        high, low = text_of(group, "JP06123"), text_of(group, "JP06125")
        period = _period(group, self._day, self._number)
        revision = self._options.japan_issue
        return self._push(group, period, high or low, DataQuality.RAW, revision)

    def _confirmed(self, group: Element) -> Iterator[Item]:
        if text_of(group, "JP06405") != _THERE:
            yield from self._withheld(group)
            return
        revision = CONFIRMED_REVISION + self._options.japan_issue
        for day_group in group.iter("{*}JPMR00013"):
            day = _date(day_group, required_text(day_group, "JP06423"))
            for slot in day_group.iter("{*}JPMR00014"):
                number = _number(slot, required_text(slot, "JP06219"))
                period = _period(slot, day, number)
                kwh = text_of(slot, "JP06424")
                yield from self._push(slot, period, kwh, DataQuality.VALID, revision, group)

    def _withheld(self, group: Element) -> Iterator[Item]:
        text = f"supply point {required_text(group, 'JP06400')[:30]}: no value provided"
        yield Note(kind=NoteKind.PERIOD_INCOMPLETE, line=line_of(group), text=text)

    def _push(
        self,
        element: Element,
        period: Period,
        kwh: str | None,
        quality: DataQuality,
        revision: int,
        group: Element | None = None,
    ) -> Iterator[Item]:
        fold, site_id = self._stream(element if group is None else group)
        line = line_of(element)
        amount, step = _amount(kwh, line) if kwh else (None, 0)
        interval = Interval(
            period.start_s, period.length_s, amount, step, quality, revision, "", line
        )
        yield Values(site_id, self._options.japan_register, fold.push([interval]))

    def _stream(self, group: Element) -> tuple[PeriodFold, SiteId]:
        point = required_text(group, "JP06400")
        if point not in self._streams:
            site_id = self._options.site_id(scheme=SCHEME, value=point, line=line_of(group))
            self._streams[point] = PeriodFold(self._options.period_s), site_id
            if len(self._streams) > self._options.limits.names:
                reason = f"more than {self._options.limits.names} supply points"
                raise Defect(line_of(group), reason)
        return self._streams[point]


def _amount(kwh: str, line: int) -> tuple[int, int]:
    try:
        amount, step = parse_amount(kwh)
    except ValueError as error:
        raise Defect(line, str(error)) from None
    if amount < 0:
        raise Defect(line, f"a negative value: {kwh[:20]}")
    return amount, step


def _date(element: Element, text: str) -> date:
    try:
        if len(text) != 8 or not (text.isascii() and text.isdecimal()):
            raise ValueError(text)
        day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Defect(line_of(element), f"no date: {text[:20]!r}") from None
    if not 1970 < day.year < 9999:
        raise Defect(line_of(element), f"no such day: {text[:20]!r}")
    return day


def _number(element: Element, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 2 and 1 <= int(text) <= 48):
        raise Defect(line_of(element), f"no period 01 to 48: {text[:20]!r}")
    return int(text)


def _period(element: Element, day: date, number: int) -> Period:
    try:
        return _CALENDAR.period(day, number)
    except ValueError as error:
        raise Defect(line_of(element), str(error)) from None
