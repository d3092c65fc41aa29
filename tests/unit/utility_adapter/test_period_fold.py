"""Intervals into periods: nothing is lost, nothing invented, and numbers stay exact."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utility_adapter.domain.readings import DataQuality, worst
from utility_adapter.sources.amounts import (
    MICRO_PER_WH,
    parse_amount,
    parse_integer,
    whole_step_wh,
    whole_wh,
)
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.period_fold import Interval, PeriodFold

PERIOD_S = 1800
LENGTHS = (60, 300, 600, 900, 1800)


def interval(start_s: int, length_s: int, micro_wh: int | None = 1, line: int = 1) -> Interval:
    return Interval(start_s, length_s, micro_wh, 1, DataQuality.VALID, 0, "", line)


@st.composite
def streams(draw: st.DrawFn) -> list[Interval]:
    """Ascending intervals of one length, with gaps and nulls."""
    length_s = draw(st.sampled_from(LENGTHS))
    slots = sorted(draw(st.sets(st.integers(0, 40), max_size=30)))
    return [
        Interval(
            slot * length_s,
            length_s,
            draw(st.one_of(st.none(), st.integers(0, 10**9))),
            draw(st.integers(1, 10**6)),
            draw(st.sampled_from(DataQuality)),
            draw(st.integers(0, 3)),
            draw(st.sampled_from(["A", "S14"])),
            slot + 1,
        )
        for slot in slots
    ]


def folded(stream: list[Interval]) -> list[Interval]:
    fold = PeriodFold(PERIOD_S)
    return fold.push(stream) + fold.finish()


class TestFold:
    @given(streams())
    def test_every_period_is_told_once(self, stream: list[Interval]) -> None:
        starts = [period.start_s for period in folded(stream)]
        assert starts == sorted({i.start_s - i.start_s % PERIOD_S for i in stream})

    @given(streams())
    def test_a_period_is_the_sum_of_all_its_intervals_or_nothing(
        self, stream: list[Interval]
    ) -> None:
        for period in folded(stream):
            own = [i for i in stream if i.start_s // PERIOD_S == period.start_s // PERIOD_S]
            amounts = [i.micro_wh for i in own if i.micro_wh is not None]
            whole = sum(i.length_s for i in own) == PERIOD_S and len(amounts) == len(own)
            assert period.micro_wh == (sum(amounts) if whole else None)
            assert period.length_s == PERIOD_S
            assert period.step_micro_wh == sum(i.step_micro_wh for i in own)
            assert period.quality is worst(i.quality for i in own)
            assert period.revision == max(i.revision for i in own)
            assert period.line == own[0].line

    @given(streams(), st.integers(0, 30))
    def test_it_does_not_matter_how_a_stream_is_cut(self, stream: list[Interval], cut: int) -> None:
        fold = PeriodFold(PERIOD_S)
        assert fold.push(stream[:cut]) + fold.push(stream[cut:]) + fold.finish() == folded(stream)

    @pytest.mark.parametrize(
        ("intervals", "reason"),
        [
            ([interval(0, 3600)], "longer than the period"),
            ([interval(0, 0)], "an interval of 0 s"),
            ([interval(0, -900)], "an interval of -900 s"),
            ([interval(900, 1800)], "crosses a boundary"),
            ([interval(1500, 600)], "crosses a boundary"),
            ([interval(0, 1800), interval(0, 1800)], "before the end of the one above"),
            ([interval(0, 900), interval(600, 900)], "before the end of the one above"),
            ([interval(0, 1800), interval(900, 900)], "before the end of the one above"),
            ([interval(1800, 900), interval(0, 900)], "before the end of the one above"),
            ([interval(900, 900), interval(0, 1800)], "before the end of the one above"),
        ],
    )
    def test_what_cannot_be_folded(self, intervals: list[Interval], reason: str) -> None:
        with pytest.raises(Defect, match=reason) as defect:
            PeriodFold(PERIOD_S).push(intervals)
        assert defect.value.line == 1

    def test_after_finishing_any_interval_may_follow(self) -> None:
        fold = PeriodFold(PERIOD_S)
        fold.push([interval(3600, 1800)])
        assert fold.finish() == []
        assert [period.start_s for period in fold.push([interval(0, 1800)])] == [0]


class TestAmounts:
    @given(st.decimals(-(10**9), 10**9, places=9))
    def test_kwh_are_read_exactly(self, kwh: Decimal) -> None:
        amount, step = parse_amount(f"{kwh:f}")
        assert Decimal(amount) == kwh * 10**9
        assert step == 1

    @pytest.mark.parametrize(
        ("text", "exponent", "amount", "step_wh"),
        [("0.1", 3, 100, 100), ("12", 3, 12_000, 1000), ("+5.", 0, 5, 1), ("0.001", 6, 1000, 1000)],
    )
    def test_the_last_digit_is_the_step(
        self, text: str, exponent: int, amount: int, step_wh: int
    ) -> None:
        assert parse_amount(text, exponent) == (amount * MICRO_PER_WH, step_wh * MICRO_PER_WH)

    @pytest.mark.parametrize(
        "text", ["", ".", "1e3", "1_000", "nan", "0x1", "1,5", "٣", "--1", "1 2"]
    )
    def test_other_texts_are_no_amounts(self, text: str) -> None:
        for parse in (parse_amount, parse_integer):
            with pytest.raises(ValueError, match="not a"):
                parse(text)

    def test_nothing_is_finer_than_a_millionth_of_a_watt_hour(self) -> None:
        with pytest.raises(ValueError, match="finer"):
            parse_amount("0.0000001", 0)

    @given(st.integers(-(10**15), 10**15))
    def test_whole_watt_hours_are_rounded_half_to_even(self, micro_wh: int) -> None:
        exact = Decimal(micro_wh).scaleb(-6)
        assert whole_wh(micro_wh) == int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))

    def test_a_step_is_at_least_a_watt_hour(self) -> None:
        steps = [whole_step_wh(step) for step in (1, 10**6, 10**6 + 1, 10**8)]
        assert steps == [1, 1, 2, 100]
