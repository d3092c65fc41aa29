"""A whole backtest: two replays, the oracle, and the account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial

from manager.backtest.aside import aside
from manager.backtest.prices import CURRENCY, PriceDays
from manager.backtest.references import oracle_cost_micros, plug_and_charge_wh
from manager.backtest.replay import Replay, Track
from manager.backtest.report import Result, Tariff, account
from manager.backtest.sessions import RecordedSession
from manager.backtest.strategy import StrategyRules
from manager.backtest.vehicles import VehicleRules, stays_of_fleet
from manager.domain.bidding.curves import BidRules
from manager.domain.bidding.stay import Window, window
from manager.domain.dispatch.waterfill import Ints

PERIOD_S = 1800  # of the exchange whose table is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is replayed; everything of it is in the result.

    Args:
        vehicles: How many.
        seed: Of the draw of sessions.
        vehicle: What the sessions do not tell.
        wear_micros_per_kwh: Cost of each kWh discharged.
        imbalance_permille: What a deviation costs, of the period's price.
        lot_wh: Lot of the contracts.
        tick_micros: Step of limit prices, micros per kWh.
        confidence: See `BidRules`.
    """

    vehicles: int
    seed: int = 1
    vehicle: VehicleRules = field(default_factory=VehicleRules)
    wear_micros_per_kwh: int = 2_000_000
    imbalance_permille: int = 10
    lot_wh: int = 1_000
    tick_micros: int = 10_000
    confidence: float = 0.5

    def strategy(self, first_day: date) -> StrategyRules:
        """Rules of the strategy."""
        return StrategyRules(
            bidding=BidRules(
                lot_wh=self.lot_wh, tick_micros=self.tick_micros, confidence=self.confidence
            ),
            wear_micros_per_kwh=self.wear_micros_per_kwh,
            imbalance_permille=self.imbalance_permille,
            weekday=first_day.weekday(),
        )


def backtest(
    prices: PriceDays,
    sessions: Sequence[RecordedSession],
    settings: Settings,
    *,
    on_day: Callable[[int], None] = lambda _: None,
) -> Result:
    """Replay and compare.

    Args:
        prices: Of the days.
        sessions: As recorded.
        settings: What is replayed.
        on_day: Called with the number of days that are done.

    Raises:
        InputError: The sessions cannot be replayed.
    """
    stays = stays_of_fleet(
        sessions,
        vehicles=settings.vehicles,
        first_day=prices.first_day,
        days=prices.days,
        seed=settings.seed,
        rules=settings.vehicle,
    )
    windows = [window(each, length_s=PERIOD_S) for each in stays]
    rules = settings.strategy(prices.first_day)
    charging = [replace(each, discharge_wh=each.discharge_wh * 0) for each in windows]
    micros = prices.micros_per_kwh
    with aside(partial(_references, windows, charging, micros, rules)) as references:
        track = Replay(windows=windows, prices=micros, rules=rules, on_day=on_day).run()
        oracle_micros, smart_track = references()
    tariff = Tariff(
        prices=micros,
        wear_micros_per_kwh=rules.wear_micros_per_kwh,
        imbalance_permille=rules.imbalance_permille,
    )
    at_once = plug_and_charge_wh(windows, periods=len(micros))
    return Result(
        parameters=_parameters(prices, settings),
        ours=account(track, tariff),
        smart=account(smart_track, tariff),
        oracle_micros=oracle_micros,
        plug_and_charge_micros=round(tariff.energy_micros(at_once)),
        track=track,
        smart_track=smart_track,
        stays=len(windows),
        unreachable_stays=sum(each.missing_wh > 0 for each in windows),
        unreachable_wh=sum(each.missing_wh for each in windows),
    )


def _references(
    windows: Sequence[Window], charging: Sequence[Window], prices: Ints, rules: StrategyRules
) -> tuple[int, Track]:
    """Cost of perfect foresight, and the strategy when nothing may discharge."""
    wear = rules.wear_micros_per_kwh
    oracle_micros = oracle_cost_micros(windows, prices=prices, wear_micros_per_kwh=wear)
    return oracle_micros, Replay(windows=charging, prices=prices, rules=rules).run()


def _parameters(prices: PriceDays, settings: Settings) -> dict[str, object]:
    return {
        "area": prices.area_id,
        "currency": CURRENCY,
        "start": prices.first_day.isoformat(),
        "end": prices.last_day.isoformat(),
        **asdict(settings),
    }
