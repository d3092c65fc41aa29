"""Consent: who, when, how much, for what fee; withdrawn at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gridcord.settlement.consent import Consent, consent_for, host_fee
from gridcord.settlement.schedule import Prices, Window
from gridcord.units import Money, Price
from tests.unit.settlement.cases import PERIOD, record, usd

CONSENT = Consent(
    consent_id="consent-1",
    site_id="obis:4530303033",
    host_id="host-1",
    fee=Prices(taken=Price.per_kwh("USD", "0.02"), given=Price.per_kwh("USD", "0.04")),
    connected_fee=usd("0.10"),
    max_power_w=1500,
)


def changed(**changes: Any) -> Consent:
    return dataclasses.replace(CONSENT, **changes)


def test_the_fee_is_for_energy_and_time() -> None:
    whole = record(charged_wh=500, discharged_wh=750)
    assert host_fee(consent=CONSENT, record=whole) == usd("0.14")
    part = host_fee(consent=CONSENT, record=whole, paid_discharge_wh=500)
    assert part == usd("0.13")
    half = record(end=900)
    assert host_fee(consent=CONSENT, record=half) == usd("0.05")


@pytest.mark.parametrize(
    ("consent", "allowed"),
    [
        pytest.param(CONSENT, True, id="anyone, always"),
        pytest.param(changed(driver_ids=frozenset({"driver-80"})), True, id="this driver"),
        pytest.param(changed(driver_ids=frozenset({"driver-81"})), False, id="another driver"),
        pytest.param(changed(granted_s=PERIOD.start_s), True, id="from now on"),
        pytest.param(changed(granted_s=PERIOD.start_s + 1), False, id="not yet"),
        pytest.param(changed(expires_s=PERIOD.start_s), False, id="expired"),
        pytest.param(changed(withdrawn_s=PERIOD.start_s), False, id="withdrawn this second"),
        pytest.param(changed(withdrawn_s=PERIOD.start_s + 1), True, id="withdrawn the next"),
        pytest.param(changed(site_id="obis:other"), False, id="another site"),
        pytest.param(
            changed(zone="Asia/Tokyo", hours=(Window(from_min=990, to_min=1020),)),
            True,
            id="16:30 to 17:00 in Tokyo",
        ),
        pytest.param(changed(hours=(Window(from_min=990, to_min=1020),)), False, id="not in UTC"),
    ],
)
def test_who_may(consent: Consent, allowed: bool) -> None:
    found = consent_for(consents=[consent], record=record())
    assert found == (consent if allowed else None)


def test_the_latest_consent_counts() -> None:
    later = changed(consent_id="consent-0", granted_s=10)
    for consents in ([CONSENT, later], [later, CONSENT]):
        assert consent_for(consents=consents, record=record()) is later


def test_power_beyond_the_consent_is_seen() -> None:
    assert CONSENT.covers_power(record(discharged_wh=751))  # one count of the register
    assert not CONSENT.covers_power(record(discharged_wh=752))
    assert not CONSENT.covers_power(record(charged_wh=400, end=900))


@pytest.mark.parametrize(
    "changes",
    [
        {"max_power_w": 0},
        {"connected_fee": usd("-1")},
        {"connected_fee": Money.of("JPY", "1")},
        {"fee": Prices.same(Price("USD", -1))},
        {"zone": "Atlantis"},
    ],
)
def test_a_consent_cannot_be_wrong(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"consent|zone"):
        changed(**changes)
