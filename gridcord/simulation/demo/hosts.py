"""Who lives in the demonstration's houses: hosts with a tariff, some with a consent and its fee."""

from __future__ import annotations

import json
from pathlib import Path

from gridcord.evidence import plain
from gridcord.settlement.consent import Consent
from gridcord.settlement.schedule import Band, Prices, Schedule, Window
from gridcord.settlement.tariff import SiteTariff
from gridcord.settlement.terms import SiteTerms
from gridcord.simulation.demo.plan import DAY_START_S, ZONE, DemoPlan, HousePlan
from gridcord.simulation.house import Cheat
from gridcord.units import Money, Price

CURRENCY = "JPY"
CONNECTION_W = 6_000
OUTLET_W = 1_500
_EVENING = Window(from_min=17 * 60, to_min=22 * 60)


def host_id(number: int) -> str:
    """Who lives in a house."""
    return f"host-{number:02d}"


def write_terms(plan: DemoPlan, path: Path) -> Path:
    """Write the settlement terms: every house is a customer from the day's beginning on.

    Who does not cheat and has an even number has agreed to guests, for a fee.
    """
    lists: dict[str, list[object]] = {
        "sites": [_site(house) for house in plan.houses],
        "site_tariffs": [_tariff()],
        "consents": [_consent(house) for house in plan.houses if _agrees(house)],
    }
    document = {
        name: [json.loads(plain.write(v)) for v in values] for name, values in lists.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1), "utf-8")
    return path


def _agrees(house: HousePlan) -> bool:
    return house.house.cheat is Cheat.NONE and house.number % 2 == 0


def _site(house: HousePlan) -> SiteTerms:
    return SiteTerms(
        site_id=house.house.site_id, host_id=host_id(house.number), rating_w=CONNECTION_W
    )


def _tariff() -> SiteTariff:
    evening = Band(window=_EVENING, prices=_prices("36.5", "8.5"))
    schedule = Schedule(zone=ZONE, base=_prices("29.8", "8.5"), bands=(evening,))
    return SiteTariff(tariff_id="home", version=1, schedule=schedule, valid_from_s=DAY_START_S)


def _consent(house: HousePlan) -> Consent:
    return Consent(
        consent_id=f"consent-{house.number:02d}",
        site_id=house.house.site_id,
        host_id=host_id(house.number),
        zone=ZONE,
        fee=_prices("0.5", "1.25"),
        connected_fee=Money.of(CURRENCY, "0.9"),
        max_power_w=OUTLET_W,
    )


def _prices(taken: str, given: str) -> Prices:
    return Prices(taken=Price.per_kwh(CURRENCY, taken), given=Price.per_kwh(CURRENCY, given))
