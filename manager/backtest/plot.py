"""A picture of some days of a replay: price, position and state of charge."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from gridcord.protocols.jepx_csv import PERIODS_A_DAY
from manager.backtest.prices import PriceDays
from manager.backtest.report import Result

_MICROS = 1_000_000


def draw(path: Path, *, prices: PriceDays, result: Result, start: date | None = None) -> None:
    """Write the picture.

    Args:
        path: A file; its suffix says the format.
        prices: Of all replayed days.
        result: Of the replay.
        start: First day shown; None for the middle of the replay.
    """
    first, end = prices.excerpt(start)
    part = slice(first * PERIODS_A_DAY, end * PERIODS_A_DAY)
    midnight = datetime.combine(prices.first_day, time())
    times = [midnight + timedelta(minutes=30 * n) for n in range(part.start, part.stop)]
    track = result.track
    figure = Figure(figsize=(12, 8), layout="constrained")
    price, position, stored = figure.subplots(3, 1, sharex=True)
    price.step(times, prices.micros_per_kwh[part] / _MICROS, where="post", color="black")
    price.set_ylabel(f"price, {prices.area_id}\nJPY/kWh")
    position.step(
        times,
        track.contracted_wh[part] / 1000,
        where="post",
        label="contracted",
        color="tab:orange",
    )
    position.step(
        times, track.net_wh[part] / 1000, where="post", label="delivered", color="tab:blue"
    )
    position.axhline(0, color="grey", linewidth=0.5)
    position.set_ylabel("+ bought, - sold\nkWh per period")
    position.legend(loc="upper right")
    stored.plot(times, track.stored_wh[part] / 1000, color="tab:green")
    stored.set_ylabel("in plugged batteries\nkWh")
    plugged = stored.twinx()
    plugged.step(times, track.plugged[part], where="post", color="grey", linewidth=0.8)
    plugged.set_ylabel("plugged vehicles")
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    stored.xaxis.set_major_locator(locator)
    form = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    stored.xaxis.set_major_formatter(form)
    figure.suptitle(_title(result))
    figure.savefig(path, dpi=120)


def _title(result: Result) -> str:
    ratio = result.ratio_to_oracle
    return (
        f"{result.parameters['vehicles']} vehicles, {result.stays} stays, "
        f"{'no' if ratio is None else f'{ratio:.1%}'} of the oracle's profit"
    )
