"""Statements for programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from gridcord.settlement.account import Purpose
from gridcord.settlement.statement import Line, Statement
from gridcord.units import Energy, Money

_COLUMNS = (
    "period_start",
    "place",
    "charged_kwh",
    "discharged_kwh",
    "unpaid_kwh",
    "own_kwh",
    "tariff",
)


def statement_json(statement: Statement) -> str:
    """A statement as JSON: energies in Wh, amounts in micros, nothing rounded but `payable`."""
    return json.dumps(_object(statement), indent=1, ensure_ascii=False)


def statement_csv(statement: Statement) -> str:
    """A statement as CSV (RFC 4180): one row per line, kWh and units of the currency, exact."""
    purposes = tuple(statement.by_purpose)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((*_COLUMNS, *(each.value.lower() for each in purposes), "total", "currency"))
    for line in statement.lines:
        writer.writerow(_row(line, purposes, statement.currency))
    return text.getvalue()


def _row(line: Line, purposes: tuple[Purpose, ...], currency: str) -> tuple[object, ...]:
    amounts = (line.amounts.get(each, 0) for each in purposes)
    return (
        str(line.period),
        line.place,
        Energy(line.charged_wh).kwh,
        Energy(line.discharged_wh).kwh,
        Energy(line.unpaid_wh).kwh,
        "" if line.own_wh is None else Energy(line.own_wh).kwh,
        line.tariff,
        *(f"{Money(currency, micros).amount:f}" for micros in (*amounts, line.total_micros)),
        currency,
    )


def _object(statement: Statement) -> dict[str, Any]:
    return {
        "account": str(statement.account),
        "month": statement.month.name,
        "zone": statement.month.zone,
        "currency": statement.currency,
        "opening_micros": statement.opening_micros,
        "by_purpose_micros": {each.value: sum_ for each, sum_ in statement.by_purpose.items()},
        "exact_micros": statement.exact_micros,
        "payable_micros": statement.payable.micros,
        "carried_micros": statement.carried_micros,
        "lines": [
            {
                "period_start": str(line.period),
                "period_s": line.period.length_s,
                "place": line.place,
                "charged_wh": line.charged_wh,
                "discharged_wh": line.discharged_wh,
                "unpaid_wh": line.unpaid_wh,
                "own_wh": line.own_wh,
                "tariff": line.tariff,
                "amounts_micros": {each.value: sum_ for each, sum_ in line.amounts.items()},
            }
            for line in statement.lines
        ],
    }
