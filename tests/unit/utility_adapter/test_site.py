"""Sites: what is told of them adds up, and a location can stay secret."""

from __future__ import annotations

import pytest

from gridcord.units import Position, SiteId
from utility_adapter.domain.site import (
    Presence,
    PrivacyRule,
    Site,
    presence,
    updated,
)

HOME = SiteId("nmi:0000000001")
TOKYO = Position(35.6812, 139.7671)
RULE = PrivacyRule(radius_m=100)


def at(north_m: float, accuracy_m: float | None = None) -> Position:
    return Position(TOKYO.latitude_deg + north_m / 111_195, TOKYO.longitude_deg, accuracy_m)


def test_what_is_told_later_completes_what_was_told_before() -> None:
    by_readings = Site(site_id=HOME, meter_ids=("SN1",), rated_power_w=6000)
    by_register = Site(site_id=HOME, position=TOKYO, asset_id="pole-7", area_id="3")
    site = updated(known=by_readings, told=by_register)
    assert (site.meter_ids, site.rated_power_w) == (("SN1",), 6000)
    assert (site.position, site.asset_id, site.area_id) == (TOKYO, "pole-7", "3")


def test_what_is_told_again_replaces() -> None:
    site = updated(
        known=Site(site_id=HOME, meter_ids=("old",), service_voltage_v=100),
        told=Site(site_id=HOME, meter_ids=("new",), service_voltage_v=200),
    )
    assert (site.meter_ids, site.service_voltage_v) == (("new",), 200)


def test_two_sites_are_never_mixed() -> None:
    with pytest.raises(ValueError, match="two sites"):
        updated(known=Site(site_id=HOME), told=Site(site_id=SiteId("nmi:0000000002")))


@pytest.mark.parametrize("rating", ["rated_power_w", "service_voltage_v"])
def test_a_rating_is_positive(rating: str) -> None:
    for value in (0, -1):
        with pytest.raises(ValueError, match=rating):
            Site(site_id=HOME, **{rating: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (at(0), Presence.INSIDE),
        (at(99), Presence.INSIDE),
        (at(101), Presence.OUTSIDE),
        (at(80, accuracy_m=15), Presence.INSIDE),
        (at(80, accuracy_m=30), Presence.UNDECIDED),
        (at(120, accuracy_m=30), Presence.UNDECIDED),
        (at(150, accuracy_m=30), Presence.OUTSIDE),
    ],
)
def test_privacy_mode_answers_inside_or_outside(asked: Position, answer: Presence) -> None:
    site = Site(site_id=HOME, position=TOKYO)
    assert presence(site=site, position=asked, rule=RULE) is answer


def test_an_unregistered_location_decides_nothing() -> None:
    answer = presence(site=Site(site_id=HOME), position=TOKYO, rule=RULE)
    assert answer is Presence.UNDECIDED


@pytest.mark.parametrize("radius_m", [0.0, -5.0, float("nan"), float("inf")])
def test_a_radius_is_positive(radius_m: float) -> None:
    with pytest.raises(ValueError, match="radius"):
        PrivacyRule(radius_m=radius_m)
