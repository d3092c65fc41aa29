"""Readings and transfers as our own CSV, in and out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import BinaryIO

from gridcord.units import CableId, Period, SiteId, parse_device_id, parse_site_id
from utility_adapter.domain.readings import MAX_WH, DataQuality, ReadingFact, Register
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources.amounts import MICRO_PER_WH, parse_integer
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.own_csv.lines import (
    READINGS,
    TRANSFERS,
    Record,
    parse_wh,
    records,
    write_table,
)
from utility_adapter.sources.period_fold import Interval, PeriodFold
from utility_adapter.sources.source import Document, Item, ReadOptions, Values
from utility_adapter.sources.times import format_time, parse_time

_COLUMNS = {Register.IMPORT: "import_wh", Register.EXPORT: "export_wh"}
MAX_METHOD = 40


def read_csv_readings(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Facts of both registers; an empty value is not stated. Rows of a site in order of time."""
    folds: dict[tuple[SiteId, Register], PeriodFold] = {}
    for record in records(document, READINGS, options.limits):
        site_id = record.read("site_id", parse_site_id)
        site_id = options.aliases.get(site_id, site_id)
        for register, column in _COLUMNS.items():
            wh = record.read_or_none(column, parse_wh)
            if wh is None:
                continue
            fold = folds.get((site_id, register))
            if fold is None:
                fold = folds[site_id, register] = PeriodFold(options.period_s)
                _check_names(len(folds), record, options)
            yield Values(site_id, register, fold.push([_interval(record, wh, options)]))
    for (site_id, register), fold in folds.items():
        yield Values(site_id, register, fold.finish())


def _interval(record: Record, wh: int, options: ReadOptions) -> Interval:
    return Interval(
        record.read("period_start", parse_time),
        _length_s(record, options),
        wh * MICRO_PER_WH,
        _positive(record, "step_wh") * MICRO_PER_WH,
        record.read("quality", DataQuality),
        record.read("revision", parse_wh),
        record.read("method", _method),
        record.line,
    )


def _length_s(record: Record, options: ReadOptions) -> int:
    length_s = record.read_or_none("period_s", parse_integer)
    return options.period_s if length_s is None else length_s


def _method(text: str) -> str:
    if len(text) > MAX_METHOD:
        message = f"more than {MAX_METHOD} characters"
        raise ValueError(message)
    return text


def _positive(record: Record, column: str) -> int:
    value = record.read(column, parse_integer)
    if not 1 <= value <= MAX_WH:
        raise Defect(record.line, f"{column}: not positive: {value}")
    return value


def _check_names(count: int, record: Record, options: ReadOptions) -> None:
    if count > options.limits.names:
        raise Defect(record.line, f"more than {options.limits.names} in one file: split it")


def read_csv_transfers(document: Document, options: ReadOptions) -> Iterator[Item]:
    """Transfers that a utility confirms; each cable, site and period once."""
    seen: set[tuple[SiteId, CableId, Period]] = set()
    for record in records(document, TRANSFERS, options.limits):
        transfer = _transfer(record, options)
        if transfer.key in seen:
            raise Defect(record.line, f"cable {transfer.cable_id} {transfer.period} twice")
        seen.add(transfer.key)
        _check_names(len(seen), record, options)
        yield transfer


def _transfer(record: Record, options: ReadOptions) -> PeriodTransfer:
    site_id = record.read("site_id", parse_site_id)
    try:
        return PeriodTransfer(
            cable_id=CableId(record.read("cable_id", parse_device_id)),
            site_id=options.aliases.get(site_id, site_id),
            period=Period(record.read("period_start", parse_time), _length_s(record, options)),
            site_to_vehicle_wh=record.read("site_to_vehicle_wh", parse_wh),
            vehicle_to_site_wh=record.read("vehicle_to_site_wh", parse_wh),
            step_wh=_positive(record, "step_wh"),
            revision=record.read("revision", parse_wh),
        )
    except ValueError as error:
        raise Defect(record.line, str(error)) from None


def write_csv_transfers(
    transfers: Iterable[PeriodTransfer], out: BinaryIO, *, written_at_s: int
) -> None:
    """Write transfers; the format has no time of its own."""
    del written_at_s
    rows = (
        {
            "cable_id": transfer.cable_id,
            "site_id": transfer.site_id,
            "period_start": format_time(transfer.period.start_s),
            "period_s": transfer.period.length_s,
            "site_to_vehicle_wh": transfer.site_to_vehicle_wh,
            "vehicle_to_site_wh": transfer.vehicle_to_site_wh,
            "step_wh": transfer.step_wh,
            "revision": transfer.revision,
        }
        for transfer in transfers
    )
    write_table(rows, TRANSFERS, out)


def write_csv_readings(facts: Iterable[ReadingFact], out: BinaryIO) -> None:
    """Write facts; adjacent ones of a period that differ in the register only share a row."""
    grouped = groupby(facts, key=_row_key)
    write_table((_row(list(group)) for _, group in grouped), READINGS, out)


def _row_key(fact: ReadingFact) -> tuple[SiteId, Period, int, DataQuality, int, str]:
    return (
        fact.site_id,
        fact.period,
        fact.step_wh,
        fact.quality,
        fact.revision,
        fact.method,
    )


def _row(facts: list[ReadingFact]) -> dict[str, object]:
    first = facts[0]
    stated = {_COLUMNS[fact.register]: fact.wh for fact in facts}
    return {
        "site_id": first.site_id,
        "period_start": format_time(first.period.start_s),
        "period_s": first.period.length_s,
        "step_wh": first.step_wh,
        "quality": first.quality,
        "revision": first.revision,
        "method": first.method,
        **stated,
    }
