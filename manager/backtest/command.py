"""`gridcord backtest`: what the bidding would have earned on past prices with recorded sessions.

Exit codes: 0 done; 2 a file or an option cannot be used (standard error says which and why).
"""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gridcord.cli.ending import CommandError
from manager.backtest.failures import InputError
from manager.backtest.prices import AREAS, CURRENCY, PriceDays, read_prices
from manager.backtest.report import Result
from manager.backtest.run import Settings, backtest
from manager.backtest.sessions import RecordedSession, read_sessions
from manager.backtest.vehicles import VehicleRules

_MICROS = 1_000_000
_PICTURES = (".png", ".svg", ".pdf")
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])]

app = typer.Typer(
    add_completion=False, help="Replay past prices and charging sessions through the bidding."
)


@app.command()
def backtest_command(
    prices: Annotated[Path, typer.Option(help="JEPX's spot_summary CSV, UTF-8 or cp932.")],
    sessions: Annotated[Path, typer.Option(help="Recorded sessions, residential or ACN CSV(.gz).")],
    vehicles: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw two weeks: .png, .svg or .pdf.")] = None,
    plot_from: Day = None,
    area: Annotated[str, typer.Option(help=f"One of {', '.join(AREAS)}.")] = "tokyo",
    start: Day = None,
    end: Day = None,
    seed: Annotated[int, typer.Option(help="Of the draw of sessions.")] = 1,
    battery_kwh: Annotated[float, typer.Option(min=1, max=1000)] = 60.0,
    reserve_percent: Annotated[int, typer.Option(min=0, max=100, help="Never sold.")] = 20,
    target_percent: Annotated[int, typer.Option(min=1, max=100, help="At departure.")] = 90,
    outlet_w: Annotated[int, typer.Option(min=100, max=400_000, help="Both ways.")] = 3000,
    efficiency_percent: Annotated[float, typer.Option(min=50, max=100, help="One way.")] = 92.0,
    wear: Annotated[float, typer.Option(min=0, help="JPY per kWh discharged.")] = 2.0,
    imbalance_percent: Annotated[
        float, typer.Option(min=0, max=1000, help="Price worse by this for each Wh off contract.")
    ] = 1.0,
    lot_kwh: Annotated[float, typer.Option(min=0.001, help="JEPX: 50, in a pool less.")] = 1.0,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.99, help="With which a volume must be possible.")
    ] = 0.5,
) -> None:
    """Replay days half hour by half hour, knowing only what was known then.

    Prints the profit over plug-and-charge of the strategy, of perfect foresight (the oracle) and of
    charging only, and what it costs to deviate from the contracts. See docs/backtest.md.
    """
    try:
        _check_outputs(json_file, plot)
        table = read_prices(prices, area_id=area, start=_day(start), end=_day(end))
        table.excerpt(_day(plot_from))
        settings = Settings(
            vehicles=vehicles,
            seed=seed,
            vehicle=VehicleRules(
                capacity_wh=round(battery_kwh * 1000),
                reserve_percent=reserve_percent,
                target_percent=target_percent,
                outlet_w=outlet_w,
                efficiency_percent=efficiency_percent,
            ),
            wear_micros_per_kwh=round(Decimal(str(wear)) * _MICROS),
            imbalance_permille=round(imbalance_percent * 10),
            lot_wh=round(lot_kwh * 1000),
            confidence=confidence,
        )
        result = _with_progress(table, read_sessions(sessions), settings)
        if plot is not None:
            from manager.backtest.plot import draw

            draw(plot, prices=table, result=result, start=_day(plot_from))
    except InputError as error:
        raise CommandError(str(error)) from None
    if json_file is not None:
        json_file.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
    Console().print(_table(result))


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


def _check_outputs(json_file: Path | None, plot: Path | None) -> None:
    """Say what is wrong before minutes of work, not after."""
    for path in (json_file, plot):
        if path is not None and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            message = f"{path}: its folder is not there or cannot be written to"
            raise InputError(message)
        if path is not None and (path.is_dir() or (path.exists() and not os.access(path, os.W_OK))):
            message = f"{path}: cannot be written to"
            raise InputError(message)
    if plot is not None and plot.suffix not in _PICTURES:
        message = f"{plot}: a picture ends in {', '.join(_PICTURES)}"
        raise InputError(message)


def _with_progress(
    prices: PriceDays, sessions: tuple[RecordedSession, ...], settings: Settings
) -> Result:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("days"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("Replaying", total=prices.days)
        return backtest(
            prices, sessions, settings, on_day=lambda done: bar.update(task, completed=done)
        )


def _table(result: Result) -> Table:
    table = Table(title=f"Profit over plug-and-charge, {CURRENCY}")
    for name in ("", "profit", "of oracle"):
        table.add_column(name, justify="left" if not name else "right")
    most = result.gain_micros(result.oracle_micros)
    for name, cost in (
        ("oracle", result.oracle_micros),
        ("strategy", result.ours.total_micros),
        ("charging only", result.smart.total_micros),
        ("plug-and-charge", result.plug_and_charge_micros),
    ):
        gain = result.gain_micros(cost)
        share = f"{gain / most:.1%}" if most > 0 else "-"
        table.add_row(name, f"{gain / _MICROS:,.0f}", share)
    facts = result.as_json()
    table.caption = (
        f"{facts['stays']} stays in {facts['periods']} periods, "
        f"{facts['promises_broken']} promises broken, "
        f"{int(str(facts['imbalance_wh'])) / 1000:,.0f} kWh off contract"
    )
    return table
