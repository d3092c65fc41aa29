"""What a matcher takes in: readings, the sum of all cables, sessions."""

from __future__ import annotations

import dataclasses

import pytest

from gridcord.evidence.site_history import SiteHistory, matches, site_periods
from gridcord.metering.matching import Finding, MatchPolicy, MatchRule, MeteredSite
from gridcord.metering.reading import ReadingQuality, ReadingSource, SiteReading
from gridcord.settlement.facts import Gathering
from gridcord.units import Period, SiteId
from tests.unit.settlement.cases import PERIOD, record, transfer


def half_hour(
    place: int, *moved_wh: int, import_wh: int | None = 300, final: bool = False
) -> tuple[Period, Gathering]:
    """A period with one record for each cable."""
    period, facts = PERIOD.next(place), Gathering()
    for number, wh in enumerate(moved_wh):
        body = record(charged_wh=max(0, wh), discharged_wh=max(0, -wh), period=period)
        body = dataclasses.replace(body, final=final)
        facts = facts.gathered(transfer(body, sequence=place + 1, cable=f"cable-{number}"))
    reading = SiteReading(
        site_id=SiteId("obis:4530303033"),
        period=period,
        source=ReadingSource.SMART_METER,
        import_wh=import_wh,
        export_wh=0,
    )
    return period, facts.gathered(reading)


def test_sessions_are_told_apart() -> None:
    gathered = dict(
        [
            half_hour(6),
            half_hour(0),
            half_hour(1, -700),
            half_hour(2, 0, final=True),
            half_hour(4, 500),  # of period 3 nothing is known
            half_hour(5, -100, 250),
        ]
    )
    periods = site_periods(gathered)
    assert [each.period for each in periods] == [PERIOD.next(place) for place in range(7)]
    one, two = PERIOD.next(1).start_s, PERIOD.next(4).start_s
    assert [each.session for each in periods] == [None, one, one, None, two, two, None]
    assert [each.transferred_wh for each in periods] == [0, -700, 0, 0, 500, 150, 0]


def test_a_missing_reading_is_a_gap() -> None:
    (period,) = site_periods(dict([half_hour(0, -700, import_wh=None)]))
    assert (period.import_wh, period.transferred_wh) == (None, -700)


def test_a_boundary_across_a_gap_is_used_with_its_uncertainty() -> None:
    period, facts = PERIOD, Gathering()
    body = dataclasses.replace(
        record(discharged_wh=700, period=period), quality=ReadingQuality.ESTIMATED, missing_s=24
    )
    facts = facts.gathered(transfer(body, sequence=1, cable="cable-0"))
    (found,) = site_periods({period: facts})
    assert (found.transferred_wh, found.uncertain_wh) == (-700, 10)


@pytest.mark.parametrize(
    ("of_the_house", "import_wh"),
    [(ReadingQuality.COMPLETE, 300), (ReadingQuality.ESTIMATED, None)],
)
def test_what_was_estimated_is_no_reading(
    of_the_house: ReadingQuality, import_wh: int | None
) -> None:
    key, facts = half_hour(0, -700)
    for source, quality, told_wh in (
        (ReadingSource.UTILITY, ReadingQuality.ESTIMATED, 900),
        (ReadingSource.SMART_METER, of_the_house, 300),
    ):
        reading = SiteReading(
            site_id=SiteId("obis:4530303033"), period=key, source=source, revision=1,
            import_wh=told_wh, export_wh=0, quality=quality,
        )  # fmt: skip
        facts = facts.gathered(reading)
    (period,) = site_periods({key: facts})
    assert period.import_wh == import_wh


def test_matching_is_the_matchers_own() -> None:
    gathered = dict([half_hour(0), half_hour(1, -300, import_wh=0), half_hour(2, -300)])
    history = SiteHistory(metered=MeteredSite(), matcher="", periods=site_periods(gathered))
    policy = MatchPolicy(rule=MatchRule.PATENT, difference_wh=50)
    found = [match.finding for match in matches(history, policy)]
    assert found == [Finding.UNDECIDED, Finding.MATCH, Finding.MISMATCH]
