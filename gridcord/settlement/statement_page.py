"""Statements for people: one HTML page without scripts or outside files, made for print."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from gridcord.settlement.account import AccountKind, Purpose
from gridcord.settlement.statement import Line, Statement
from gridcord.units import Energy, Money

_TITLES = {
    Purpose.AVAILABILITY: "Availability",
    Purpose.ENERGY: "Energy",
    Purpose.HOST_FEE: "Host fee",
    Purpose.OWN_ENERGY: "Own energy",
    Purpose.IMBALANCE: "Imbalance",
}
_CSS = """
body{font:14px/1.4 system-ui,sans-serif;color:#1c2530;max-width:78rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.4rem;margin:0}p{margin:.3rem 0}table{border-collapse:collapse;width:100%;
margin:1rem 0}
th,td{padding:.2rem .5rem;text-align:right;border-bottom:1px solid #dde3ea;white-space:nowrap}
th:first-child,td:first-child,.l{text-align:left}thead{display:table-header-group}
tr{break-inside:avoid}tfoot td{font-weight:600;border-top:2px solid #1c2530}.sums{width:auto}
.sums tr:last-child td,.sums .due td{font-weight:600}svg{width:100%;height:auto}
.wide{overflow-x:auto}.wide td:nth-child(2){white-space:normal;overflow-wrap:anywhere;
min-width:9rem}.wide :is(th,td):nth-child(2){text-align:left}
@media print{body{margin:0;max-width:none;font-size:10px}}
"""
_WIDTH, _HALF, _MARGIN, _AXIS = 720, 90, 64, 12


def statement_page(statement: Statement) -> str:
    """A statement as an HTML page: sums, chart by day, table of all half hours."""
    who = "Driver" if statement.account.kind is AccountKind.DRIVER else "Host"
    title = f"{who} {statement.account.owner}, {statement.month.name}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_CSS}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>Times are {escape(statement.month.zone)}. Amounts in {statement.currency}; "
        "plus is paid to you, minus is owed by you.</p>"
        f"{_sums(statement)}{_chart(statement)}{_table(statement)}</body></html>"
    )


def _sums(statement: Statement) -> str:
    rows = [("Carried from before", _amount(statement, statement.opening_micros), "")]
    rows += [
        (_TITLES.get(purpose, purpose.value), _amount(statement, micros), "")
        for purpose, micros in statement.by_purpose.items()
    ]
    owed = statement.payable.micros < 0
    payable = f"{statement.payable.amount.normalize():f}"
    rows += [
        ("Exact sum", _amount(statement, statement.exact_micros), ""),
        ("You owe" if owed else "Paid to you", payable.lstrip("-"), "due"),
        ("Carried to next month", _amount(statement, statement.carried_micros), ""),
    ]
    body = "".join(
        f'<tr class="{style}"><td>{escape(name)}</td><td>{value} {statement.currency}</td></tr>'
        for name, value, style in rows
    )
    return f'<table class="sums"><tbody>{body}</tbody></table>'


def _table(statement: Statement) -> str:
    purposes = tuple(statement.by_purpose)
    own = statement.account.kind is AccountKind.HOST
    heads = ["Half hour", "Place", "Charged kWh", "Discharged kWh", "Not paid kWh"]
    heads += ["Own kWh"] if own else []
    heads += [_TITLES.get(each, each.value) for each in purposes] + ["Sum", "Tariff"]
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(_row(statement, line, purposes, own=own) for line in statement.lines)
    foot = "".join(f"<td>{escape(cell)}</td>" for cell in _totals(statement, purposes, own=own))
    table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody><tfoot><tr>{foot}</tr></tfoot>"
    return f'<div class="wide"><table>{table}</table></div>'


def _totals(statement: Statement, purposes: tuple[Purpose, ...], *, own: bool) -> list[str]:
    """The last row: the sum of each column."""
    lines = statement.lines
    cells = ["All", ""]
    cells += [_kwh(sum(each.charged_wh for each in lines))]
    cells += [_kwh(sum(each.discharged_wh for each in lines))]
    cells += [_kwh(sum(each.unpaid_wh for each in lines))]
    cells += [_kwh(sum(each.own_wh or 0 for each in lines))] if own else []
    cells += [
        _amount(statement, sum(each.amounts.get(purpose, 0) for each in lines))
        for purpose in purposes
    ]
    return [*cells, _amount(statement, sum(each.total_micros for each in lines)), ""]


def _row(statement: Statement, line: Line, purposes: tuple[Purpose, ...], *, own: bool) -> str:
    local = line.period.start.astimezone(ZoneInfo(statement.month.zone))
    cells = [f"{local:%Y-%m-%d %H:%M %z}", line.place]
    cells += [_kwh(each) for each in (line.charged_wh, line.discharged_wh, line.unpaid_wh)]
    cells += ["" if line.own_wh is None else _kwh(line.own_wh)] if own else []
    cells += [_amount(statement, line.amounts.get(each, 0)) for each in purposes]
    cells += [_amount(statement, line.total_micros), line.tariff]
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _chart(statement: Statement) -> str:
    """Bars by day of the month: discharged upwards, charged downwards."""
    days = _days(statement)
    peak_wh = max((max(pair) for pair in days.values()), default=0)
    if not peak_wh:
        return ""
    step = (_WIDTH - _MARGIN) / len(days)
    bars = "".join(
        _bar(_MARGIN + step * place, step * 0.8, day, given, taken, peak_wh)
        for place, (day, (given, taken)) in enumerate(sorted(days.items()))
    )
    labels = "".join(
        f'<text x="{_MARGIN - 4}" y="{y}" text-anchor="end">{text}</text>'
        for y, text in (
            (10, f"{_kwh(peak_wh)} kWh"[:14]),
            (_HALF + 3, "0"),
            (2 * _HALF - 2, f"-{_kwh(peak_wh)}"),
        )
    )
    labels += "".join(
        f'<text x="{_MARGIN + step * (place + 0.4):.1f}" y="{2 * _HALF + 9}" '
        f'text-anchor="middle">{day.day}</text>'
        for place, day in enumerate(sorted(days))
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {2 * _HALF + _AXIS}" role="img" font-size="9" '
        'aria-label="Energy by day: discharged upwards, charged downwards">'
        f'{labels}{bars}<line x1="{_MARGIN}" x2="{_WIDTH}" y1="{_HALF}" y2="{_HALF}" '
        'stroke="#1c2530"/></svg>'
    )


def _bar(x: float, width: float, day: date, given: int, taken: int, peak: int) -> str:
    scale = (_HALF - 12) / peak
    rectangles = (
        (_HALF - given * scale, given * scale, "#2a9d6f"),
        (_HALF, taken * scale, "#4a7fc1"),
    )
    drawn = "".join(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'
        for y, height, fill in rectangles
        if height > 0
    )
    title = f"{day}: {_kwh(given)} kWh discharged, {_kwh(taken)} kWh charged"
    return f"<g><title>{title}</title>{drawn}</g>"


def _days(statement: Statement) -> dict[date, tuple[int, int]]:
    """Discharged and charged Wh by local day, all days of the month."""
    zone = ZoneInfo(statement.month.zone)
    first, end = (datetime.fromtimestamp(at_s, zone).date() for at_s in statement.month.bounds())
    days = {first + timedelta(days=n): (0, 0) for n in range((end - first).days)}
    for line in statement.lines:
        day = line.period.start.astimezone(zone).date()
        given, taken = days[day]
        days[day] = given + line.discharged_wh, taken + line.charged_wh
    return days


def _kwh(wh: int) -> str:
    return f"{Energy(wh).kwh:f}"


def _amount(statement: Statement, micros: int) -> str:
    return f"{Money(statement.currency, micros).amount:f}"
