"""The result of a replay, in numbers that add up.

Profit is the gain over plug-and-charge: what plug-and-charge pays for the same kilometres less what
the strategy pays, wear and imbalance included. So plug-and-charge earns 0 by definition, and the
energy that has to be bought anyway drops out of the ratio instead of flattering it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from manager.backtest.replay import Track
from manager.domain.bidding.stay import PERMILLE
from manager.domain.dispatch.waterfill import Ints

_WH_PER_KWH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What energy costs.

    Args:
        prices: Day-ahead prices, micros per kWh, by period.
        wear_micros_per_kwh: Of what is discharged.
        imbalance_permille: A Wh beyond or short of the contract is settled at the period's price,
            worsened by this share of it.
    """

    prices: Ints
    wear_micros_per_kwh: int
    imbalance_permille: int

    def energy_micros(self, net_wh: Ints) -> Fraction:
        """What net energy costs at the prices; negative is earned."""
        return Fraction(_exact_sum(self.prices, net_wh), _WH_PER_KWH)

    def wear_micros(self, discharged_wh: Ints) -> Fraction:
        """What discharging costs."""
        return Fraction(self.wear_micros_per_kwh * int(discharged_wh.sum()), _WH_PER_KWH)

    def imbalance_micros(self, deviation_wh: Ints) -> Fraction:
        """What deviating costs beyond the energy itself, in either direction."""
        worse = _exact_sum(np.abs(self.prices), np.abs(deviation_wh))
        return Fraction(worse * self.imbalance_permille, PERMILLE * _WH_PER_KWH)


def _exact_sum(prices: Ints, energies: Ints) -> int:
    # Of Python integers: a year of a large fleet would not fit 64 bits.
    return sum(a * b for a, b in zip(prices.tolist(), energies.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What one way to run the fleet costs, micros; negative is earned.

    Contracts at the cleared price plus imbalance settled at that price, worsened, is the same as
    all energy at that price plus the worsening: that is how it is summed here.
    """

    energy_micros: int
    wear_micros: int
    imbalance_micros: int

    @property
    def total_micros(self) -> int:
        """All of it."""
        return self.energy_micros + self.wear_micros + self.imbalance_micros


def account(track: Track, tariff: Tariff) -> Account:
    """What a replayed strategy cost."""
    return Account(
        energy_micros=round(tariff.energy_micros(track.net_wh)),
        wear_micros=round(tariff.wear_micros(track.discharged_wh)),
        imbalance_micros=round(tariff.imbalance_micros(track.net_wh - track.contracted_wh)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a replay found.

    Args:
        parameters: Everything that it depends on.
        ours: What the strategy cost.
        smart: What the same strategy cost when nothing may discharge.
        oracle_micros: What perfect foresight costs.
        plug_and_charge_micros: What charging at once costs, without any imbalance.
        track: What the strategy did.
        smart_track: What it did without discharging.
        stays: How many there were.
        unreachable_stays: Departures whose target no way of charging could reach.
        unreachable_wh: What is missing there.
    """

    parameters: Mapping[str, object]
    ours: Account
    smart: Account
    oracle_micros: int
    plug_and_charge_micros: int
    track: Track
    smart_track: Track
    stays: int
    unreachable_stays: int
    unreachable_wh: int

    def gain_micros(self, cost_micros: int) -> int:
        """Profit of something that costs so much: what plug-and-charge pays more."""
        return self.plug_and_charge_micros - cost_micros

    @property
    def ratio_to_oracle(self) -> float | None:
        """Profit by the oracle's; None when there was nothing to gain."""
        most = self.gain_micros(self.oracle_micros)
        return round(self.gain_micros(self.ours.total_micros) / most, 4) if most > 0 else None

    def as_json(self) -> dict[str, object]:
        """For a file: plain numbers, named by their unit."""
        track = self.track
        deviation = np.abs(track.net_wh - track.contracted_wh)
        return {
            "profit_micros": self.gain_micros(self.ours.total_micros),
            "oracle_profit_micros": self.gain_micros(self.oracle_micros),
            "smart_charge_profit_micros": self.gain_micros(self.smart.total_micros),
            "plug_and_charge_profit_micros": 0,
            "ratio_to_oracle": self.ratio_to_oracle,
            "promises_broken": track.promises_broken + self.smart_track.promises_broken,
            "imbalance_wh": int(deviation.sum()),
            "periods": len(track.net_wh),
            "stays": self.stays,
            "unreachable_stays": self.unreachable_stays,
            "unreachable_wh": self.unreachable_wh,
            "charged_wh": int(track.net_wh.sum() + track.discharged_wh.sum()),
            "discharged_wh": int(track.discharged_wh.sum()),
            "exchanged_wh": int(np.abs(track.net_wh).sum()),
            "contracted_wh": int(np.abs(track.contracted_wh).sum()),
            "cost_micros": {
                "strategy": self.ours.total_micros,
                "strategy_energy": self.ours.energy_micros,
                "strategy_wear": self.ours.wear_micros,
                "strategy_imbalance": self.ours.imbalance_micros,
                "oracle": self.oracle_micros,
                "smart_charge": self.smart.total_micros,
                "plug_and_charge": self.plug_and_charge_micros,
            },
            "parameters": dict(self.parameters),
        }
