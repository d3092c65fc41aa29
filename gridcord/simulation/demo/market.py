"""The demonstration's market: an exchange over TLS with an auction in the afternoon, grid operators
that publish what imbalances cost, and a utility that asks for less consumption in the evening.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gridcord.chassis.clock import Clock
from gridcord.protocols.jepx.fields import AREA_CODES
from gridcord.simulation.demo.plan import AREA, MARKET, PERIOD_S, ZONE, DemoPlan
from gridcord.simulation.exchange.imbalance import imbalance_table
from gridcord.simulation.exchange.prices import SyntheticPrices
from gridcord.simulation.processes import Program
from gridcord.simulation.vtn import Vtn, setpoint_event
from gridcord.units import Calendar, Period

GATE_PERIOD = 2  # the auction is held at its start, and sells it and what follows
MEMBER = "0841"
CONTRACT_CODE = "GCD01"
LOT_WH = 50_000  # 0.1 MW over a half hour: no smaller volume can be told to this exchange
WANTED_WH = LOT_WH  # by others, in each half hour: of more than that the market takes a part
RESTLESSNESS = 0.2  # of prices: no two evenings have their dearest half hours alike
PAST_DAYS = 21  # of prices that the exchange tells
DR_PROGRAM = "flexibility"
DR_KILOWATTS = -60.0
DR_CLIENT = "ven-gridcord"

_AREA_HEADERS = (
    "北海道", "東北", "東京", "中部", "北陸", "関西", "中国", "四国", "九州",
)  # fmt: skip


def gate_s(plan: DemoPlan) -> int:
    """When the auction is held, seconds since 1970 UTC."""
    return plan.start_s + GATE_PERIOD * PERIOD_S


def dr_periods(plan: DemoPlan) -> list[Period]:
    """The half hours in which less consumption is asked for: the later ones, but the last."""
    first = max(GATE_PERIOD + 1, plan.periods // 2)
    return [
        Period(plan.start_s + number * PERIOD_S, PERIOD_S)
        for number in range(first, max(first + 1, plan.periods - 1))
    ]


def exchange(plan: DemoPlan, folder: Path, clock: dict[str, Any]) -> Program:
    """The simulated exchange: its messages are the exchange's own, its hour is ours.

    Args:
        plan: What is played.
        folder: Of its files.
        clock: `[clock]` of the demonstration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return Program(
        "gridcord.simulation.exchange",
        folder,
        {
            "market": {
                "state": folder / "exchange.db",
                "tls": folder / "tls",
                "members": [MEMBER],
                "prices": _write_prices(plan, folder / "prices.csv"),
                "shown_areas": [AREA],
                "steps": 0,
                "step_wh": WANTED_WH,
                "gate_closes": f"{_local(gate_s(plan)):%H:%M:%S}",
                "gate_days_before": 0,
            },
            "clock": clock,
            "log": {"format": "json"},
        },
    )


def venue(plan: DemoPlan, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """`[venue]` of the market adapter.

    Args:
        plan: What is played.
        folder: Of the adapter's files.
        facts: What the exchange told when it was ready.
    """
    folder.mkdir(parents=True, exist_ok=True)
    profile = folder / "profile.toml"
    closes = f"{_local(gate_s(plan)):%H:%M:%S}"
    profile.write_text(_PROFILE.format(closes=closes), "utf-8")
    host, _, port = str(facts["jepx"]).rpartition(":")
    return {
        "kind": "jepx",
        "profile_file": profile,
        "host": host,
        "port": int(port),
        "roots": facts["certificate"],
        "member": MEMBER,
        "contract_code": CONTRACT_CODE,
        "round_s": 0.5 * plan.speed,
        "settle_s": 0.5 * plan.speed,
    }


async def start_vtn(plan: DemoPlan, clock: Clock, secret: str) -> Vtn:
    """The utility's demand response server, with one event."""
    vtn = Vtn(clock=clock, clients={DR_CLIENT: secret})
    await vtn.start()
    program = vtn.put("programs", {"programName": DR_PROGRAM})
    periods = dr_periods(plan)
    event = setpoint_event(
        program_id=program, first=periods[0], kilowatts=[DR_KILOWATTS] * len(periods)
    )
    vtn.put("events", event)
    return vtn


def imbalance(folder: Path) -> dict[str, Any]:
    """`[imbalance]` of the market adapter."""
    return {"folder": folder / "imbalance", "look_s": 60.0}


async def publish_imbalances(plan: DemoPlan, folder: Path, clock: Clock) -> None:
    """What an imbalance of each half hour costs is published when it is over, until the end."""
    target = folder / "imbalance"
    target.mkdir(parents=True, exist_ok=True)
    calendar, series = Calendar(ZONE, PERIOD_S), SyntheticPrices(seed=plan.seed + 1)
    months: defaultdict[str, dict[Period, int]] = defaultdict(dict)
    for count in range(plan.periods):
        period = Period(plan.start_s + count * PERIOD_S, PERIOD_S)
        await clock.sleep_until(period.end_s)
        day, number = calendar.label(period)
        price = series.price_jpy_per_mwh(area_cd=AREA_CODES[AREA], day=day, number=number)
        month = f"{day:%Y%m}"
        months[month][period] = price
        text = imbalance_table(months[month], areas=[AREA], published_s=clock.now())
        draft = target / f".{month}.csv"
        draft.write_text(text, "cp932")
        draft.replace(target / f"imbalance_{month}.csv")


def openadr(plan: DemoPlan, folder: Path, vtn: Vtn, secret: str) -> dict[str, Any]:
    """`[openadr]` of the market adapter."""
    folder.mkdir(parents=True, exist_ok=True)
    secret_file = folder / "vtn-secret"
    secret_file.write_text(secret + "\n", "utf-8")
    secret_file.chmod(0o600)
    return {
        "url": vtn.url,
        "client_id": DR_CLIENT,
        "secret_file": secret_file,
        "programs": [DR_PROGRAM],
        "area": AREA,
        "look_s": 2.0 * plan.speed,
    }


def _write_prices(plan: DemoPlan, path: Path) -> Path:
    """Prices of three weeks and the day after, in the format in which the exchange tells them."""
    first = _local(plan.start_s).date()
    series = SyntheticPrices(seed=plan.seed, restlessness=RESTLESSNESS)
    columns = ",".join(f"エリアプライス{area}(円/kWh)" for area in _AREA_HEADERS)
    lines = [f"受渡日,時刻コード,{columns}"]
    for day in (first + timedelta(days=n) for n in range(-PAST_DAYS, 2)):
        for number in range(1, 49):
            prices = [
                series.price_jpy_per_mwh(area_cd=code, day=day, number=number) / 1000
                for code in AREA_CODES.values()
            ]
            lines.append(f"{day:%Y/%m/%d},{number}," + ",".join(f"{p:.2f}" for p in prices))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _local(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(ZONE))


_PROFILE = f"""\
# The exchange's day-ahead market, with the auction held on the day itself.
market_id = "{MARKET}"
clearing = "AUCTION"
time_zone = "{ZONE}"
period_length_s = {PERIOD_S}
currency = "JPY"
lot_wh = {LOT_WH}
tick = "0.01"
min_price = "0.00"
max_price = "999.99"
money_step = "1"
money_rounding = "FLOOR"

[gate]
closes = {{{{ days_before = 0, at = {{closes}} }}}}

[areas]
{AREA} = "{AREA_CODES[AREA]}"
"""
