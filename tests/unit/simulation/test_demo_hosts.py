"""The demonstration's hosts are terms that a manager takes."""

from __future__ import annotations

from pathlib import Path

from gridcord.settlement.tariff import TariffBook
from gridcord.settlement.terms import SettlementRule
from gridcord.simulation.demo.hosts import write_terms
from gridcord.simulation.demo.plan import DAY_START_S, Scenario, make_plan
from gridcord.simulation.house import Cheat
from gridcord.units import Period
from manager.terms_file import read_terms


def test_every_house_has_a_host_and_an_honest_one_takes_guests_for_a_fee(tmp_path: Path) -> None:
    plan = make_plan(scenario=Scenario.DAY, houses=8, periods=3, speed=60, seed=1)
    path = write_terms(plan, tmp_path / "manager" / "terms.json")
    terms = read_terms(path, rule=SettlementRule(), default=TariffBook(()))
    assert {site: each.host_id for site, each in terms.sites.items()} == {
        house.house.site_id: f"host-{house.number:02d}" for house in plan.houses
    }
    honest = {each.house.site_id for each in plan.houses if each.house.cheat is Cheat.NONE}
    agreed = {each.site_id for each in terms.consents}
    assert agreed
    assert agreed < honest
    for consent in terms.consents:
        assert terms.site(consent.site_id).host_id == consent.host_id
        assert consent.fee.given.micros_per_kwh > 0
    day = Period(DAY_START_S)
    assert terms.site_tariffs.tariff(area="", period=day).name == "home/1"
