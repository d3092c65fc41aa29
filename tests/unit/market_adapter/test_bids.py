"""Profiles, what a market takes, lots, and the calendar's labels."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_FLOOR, Decimal
from importlib import resources
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.protocols.jepx import fields
from gridcord.units import Calendar, Money, Period, Price
from market_adapter.domain.bids import (
    Bid,
    BidRefused,
    RefusalReason,
    Side,
    check_bid,
    round_to_lots,
)
from market_adapter.domain.profile import DayTime, Gate, ProfileError
from market_adapter.profiles.reader import (
    BUILT_IN,
    built_in_profile,
    parse_profile,
    read_profile,
)

DAY_AHEAD, INTRADAY = built_in_profile("jepx.dayahead"), built_in_profile("jepx.intraday")
PERIOD = DAY_AHEAD.calendar.period(date(2026, 11, 24), 37)
OPEN_S = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
GOOD = Bid(
    bid_id=uuid4(),
    market_id="jepx.dayahead",
    area_id="tokyo",
    period=PERIOD,
    side=Side.SELL,
    energy_wh=50_000,
    limit_price=Price.per_kwh("JPY", "18.06"),
)


def refusal(bid: Bid, *, now_s: float = OPEN_S) -> RefusalReason:
    with pytest.raises(BidRefused) as refused:
        check_bid(bid=bid, profile=DAY_AHEAD, now_s=now_s)
    return refused.value.reason


def test_a_good_bid_is_taken() -> None:
    check_bid(bid=GOOD, profile=DAY_AHEAD, now_s=OPEN_S)
    check_bid(bid=replace(GOOD, limit_price=None), profile=DAY_AHEAD, now_s=OPEN_S)


@pytest.mark.parametrize(
    ("bid", "reason"),
    [
        (replace(GOOD, market_id="other"), RefusalReason.UNKNOWN_MARKET),
        (replace(GOOD, area_id="okinawa"), RefusalReason.UNKNOWN_AREA),
        (replace(GOOD, period=Period(PERIOD.start_s, 900)), RefusalReason.WRONG_PERIOD),
        (replace(GOOD, energy_wh=0), RefusalReason.NO_ENERGY),
        (replace(GOOD, energy_wh=-50_000), RefusalReason.NO_ENERGY),
        (replace(GOOD, energy_wh=50_001), RefusalReason.OFF_LOT),
        (replace(GOOD, limit_price=Price.per_kwh("JPY", "18.065")), RefusalReason.OFF_TICK),
        (
            replace(GOOD, limit_price=Price.per_kwh("JPY", "-0.01")),
            RefusalReason.PRICE_OUT_OF_BOUNDS,
        ),
        (
            replace(GOOD, limit_price=Price.per_kwh("JPY", "1000")),
            RefusalReason.PRICE_OUT_OF_BOUNDS,
        ),
        (replace(GOOD, limit_price=Price.per_kwh("EUR", "1.00")), RefusalReason.WRONG_CURRENCY),
    ],
)
def test_what_the_market_would_refuse_is_refused_before_it_is_asked(
    bid: Bid, reason: RefusalReason
) -> None:
    assert refusal(bid) is reason


def test_the_day_ahead_gate_is_ten_oclock_in_japan_on_the_day_before() -> None:
    closes_s = datetime(2026, 11, 23, 1, tzinfo=UTC).timestamp()  # 10:00 JST
    check_bid(bid=GOOD, profile=DAY_AHEAD, now_s=closes_s - 0.001)
    assert refusal(GOOD, now_s=closes_s) is RefusalReason.GATE_CLOSED
    opens_s = datetime(2026, 11, 13, 22, tzinfo=UTC).timestamp()  # 14th, 7:00 JST
    check_bid(bid=GOOD, profile=DAY_AHEAD, now_s=opens_s)
    assert refusal(GOOD, now_s=opens_s - 1) is RefusalReason.GATE_NOT_OPEN


def test_the_intraday_gate_closes_an_hour_before_each_period() -> None:
    bid = replace(GOOD, market_id="jepx.intraday")
    opens_s = datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp()  # 17:00 JST
    for now_s, is_open in (
        (opens_s - 1, False),
        (opens_s, True),
        (PERIOD.start_s - 3601, True),
        (PERIOD.start_s - 3600, False),
    ):
        if is_open:
            check_bid(bid=bid, profile=INTRADAY, now_s=now_s)
        else:
            with pytest.raises(BidRefused):
                check_bid(bid=bid, profile=INTRADAY, now_s=now_s)


def test_the_next_gate_names_the_periods_it_is_about() -> None:
    before_s = datetime(2026, 11, 23, 0, 59, tzinfo=UTC).timestamp()
    gate = DAY_AHEAD.next_gate(now_s=before_s)
    assert gate is not None
    closes_s, periods = gate
    assert closes_s == datetime(2026, 11, 23, 1, tzinfo=UTC).timestamp()
    assert PERIOD in periods
    assert len(periods) == 48
    later = DAY_AHEAD.next_gate(now_s=closes_s)
    assert later is not None
    assert later[0] == closes_s + 86_400
    assert INTRADAY.next_gate(now_s=before_s) is None


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_lots_and_remainder_are_the_whole_and_never_more(energy_wh: int, lot_wh: int) -> None:
    lots = round_to_lots(energy_wh=energy_wh, lot_wh=lot_wh)
    assert lots.whole_wh + lots.remainder_wh == energy_wh
    assert lots.whole_wh % lot_wh == 0
    assert abs(lots.remainder_wh) < lot_wh
    assert abs(lots.whole_wh) <= abs(energy_wh)


def test_every_half_hour_of_forty_years_has_one_label_and_comes_back() -> None:
    """JEPX time codes and London's settlement periods, 46 and 50 a day twice a year."""
    for zone in ("Asia/Tokyo", "Europe/London"):
        calendar = Calendar(zone=zone)
        expected_s = None
        for day in calendar.days(date(2000, 1, 1), date(2040, 12, 31)):
            periods = calendar.periods_of(day)
            assert len(periods) in ({48} if zone == "Asia/Tokyo" else {46, 48, 50})
            assert expected_s in {None, periods[0].start_s}
            expected_s = periods[-1].end_s
            for number in (1, 2, 4, len(periods)):
                assert calendar.label(calendar.period(day, number)) == (day, number)
    assert [fields.time_cd(n) for n in (1, 37, 48)] == ["01", "37", "48"]


@given(st.integers(0, 10**6), st.integers(0, 99_999))
def test_money_of_jepx_is_cut_to_whole_yen(lots: int, cents: int) -> None:
    energy_wh, price = lots * 50_000, Price("JPY", cents * 10_000)
    exact = Decimal(energy_wh) / 1000 * Decimal(cents) / 100
    amount = DAY_AHEAD.amount(energy_wh=energy_wh, price=price)
    assert amount.amount == exact.to_integral_value(ROUND_FLOOR)


def test_the_fee_of_the_manuals_own_example() -> None:
    """51,422.45 MWh at 30 JPY/MWh is 1,542,673 JPY: cut, not rounded (JEPX 902 3.1)."""
    price = Price.per_kwh("JPY", "0.03")
    amount = DAY_AHEAD.amount(energy_wh=51_422_450_000, price=price)
    assert amount == Money.of("JPY", "1542673")


def test_halves_are_rounded_away_from_zero_where_the_profile_says_so() -> None:
    generic = built_in_profile("generic")
    half_penny = Price("GBP", 5_000)
    assert generic.amount(energy_wh=1_000, price=half_penny) == Money.of("GBP", "0.01")
    assert generic.amount(energy_wh=1_000, price=Price("GBP", -5_000)) == Money.of("GBP", "-0.01")
    assert generic.amount(energy_wh=1_000, price=Price("GBP", 4_999)) == Money.zero("GBP")


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_profile_can_be_copied_to_a_file(name: str, tmp_path: Path) -> None:
    text = resources.files("market_adapter.profiles").joinpath(f"{name}.toml").read_text("utf-8")
    (tmp_path / "own.toml").write_text(text)
    assert read_profile(tmp_path / "own.toml") == built_in_profile(name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lot_wh = 1_000", ""),
        ("lot_wh = 1_000", "lot_wh = 0"),
        ("lot_wh = 1_000", "lot_wh = 1_000\nsurprise = 1"),
        ('tick = "0.00001"', 'tick = "0.0000001"'),
        ('min_price = "-0.50"', 'min_price = "7.00"'),
        ('min_price = "-0.50"', 'min_price = "-0.500001"'),
        ('"Europe/London"', '"Europe/Atlantis"'),
        ("period_length_s = 1800", "period_length_s = 1000"),
        ("[gate]", "[gate]\nlead_s = 60"),
        ("closes =", "shuts ="),
        ("at = 11:00:00", 'at = "eleven"'),
        ('clearing = "AUCTION"', 'clearing = "LOTTERY"'),
        ("[areas]", "[elsewhere]"),
        ("[gate]", "gate = 3\n[door]"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(old: str, new: str) -> None:
    text = resources.files("market_adapter.profiles").joinpath("generic.toml").read_text("utf-8")
    assert old in text
    with pytest.raises(ProfileError):
        parse_profile(text.replace(old, new))


def test_there_is_no_profile_of_another_name_and_no_gate_without_an_end() -> None:
    with pytest.raises(ProfileError):
        built_in_profile("../../etc/passwd")
    with pytest.raises(ProfileError):
        Gate(opens=DayTime(days_before=1, at=time(7)))


def test_an_auction_on_the_day_itself_is_about_the_rest_of_the_day() -> None:
    gate = Gate(closes=DayTime(days_before=0, at=time(17, 0)))
    market = replace(DAY_AHEAD, gate=gate)
    day = DAY_AHEAD.calendar.periods_of(date(2026, 6, 1))
    assert market.gate_closes_s(day[33]) == 0, "begins at 16:30, before the auction"
    found = market.next_gate(now_s=day[20].start_s)
    assert found == (day[34].start_s, tuple(day[34:]))
    after = market.next_gate(now_s=day[34].start_s)
    assert after is not None
    assert after[0] == day[34].start_s + 86_400
