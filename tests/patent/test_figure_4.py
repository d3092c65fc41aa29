"""Figure 4: the management server's table of rewards, one row per cable and half hour.

Transmission power amount of the half hour (+ charge, - discharge), basic reward (1 $ for each
30 minutes that the cable is connected, also when nothing flows), and the reward for the energy:
minus the transferred energy times the unit price.
"""

from __future__ import annotations

import pytest

from gridcord.settlement.earning import earning
from tests.unit.settlement.cases import record, tariff, usd

UNIT_PRICE = "0.20"  # $ per kWh, the same both ways


@pytest.mark.parametrize(
    ("transferred_wh", "basic", "energy", "reward"),
    [
        pytest.param(-750, "1", "0.15", "1.15", id="discharge is paid"),
        pytest.param(-1, "1", "0.0002", "1.0002", id="one watt-hour of discharge is paid"),
        pytest.param(0, "1", "0", "1", id="idle but connected earns the basic reward"),
        pytest.param(450, "1", "-0.09", "0.91", id="charge is charged"),
        pytest.param(6000, "1", "-1.20", "-0.20", id="much charge is owed"),
    ],
)
def test_reward_of_a_half_hour(transferred_wh: int, basic: str, energy: str, reward: str) -> None:
    row = record(charged_wh=max(0, transferred_wh), discharged_wh=max(0, -transferred_wh))
    assert row.transferred_wh == transferred_wh
    earned = earning(record=row, tariff=tariff(UNIT_PRICE))
    assert earned.availability == usd(basic)
    assert earned.energy == usd(energy)
    assert earned.total == usd(reward)


def test_an_evening_adds_up() -> None:
    evening = [record(charged_wh=450), record(), record(discharged_wh=750)]
    total = usd("0")
    for row in evening:
        total += earning(record=row, tariff=tariff(UNIT_PRICE)).total
    assert total == usd("3.06")  # 3 half hours x 1 $ + (0.75 - 0.45) kWh x 0.20 $


def test_charging_and_discharging_in_one_half_hour_count_as_their_difference() -> None:
    both = earning(record=record(charged_wh=450, discharged_wh=750), tariff=tariff(UNIT_PRICE))
    net = earning(record=record(discharged_wh=300), tariff=tariff(UNIT_PRICE))
    assert both == net
