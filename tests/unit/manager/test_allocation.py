"""Laws of the allocation, on random fleets, and against a linear program."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.domain.dispatch.allocation import Allocation, AssetLimits, Ranking, allocate
from manager.domain.dispatch.bounds import Bounds, Reason
from manager.domain.dispatch.fleet_state import Floats
from manager.domain.dispatch.waterfill import MAX_ROOM, MAX_WEIGHT, Ints, Vessels, fill

EXAMPLES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An area at one tick."""

    target_w: int
    low_w: Ints
    high_w: Ints
    ranking: Ranking
    assets: AssetLimits

    @property
    def bounds(self) -> Bounds:
        return Bounds.of(self.low_w, self.high_w)

    def allocated(self, *, target_w: int | None = None) -> Allocation:
        return allocate(
            target_w=self.target_w if target_w is None else target_w,
            bounds=self.bounds,
            ranking=self.ranking,
            assets=self.assets,
        )

    def rows(self, order: Ints) -> Case:
        ranking = self.ranking
        return replace(
            self,
            low_w=self.low_w[order],
            high_w=self.high_w[order],
            ranking=Ranking(
                number=ranking.number[order],
                merit=ranking.merit[order],
                weight=ranking.weight[order],
                asset=ranking.asset[order],
            ),
        )


def _ints(values: list[int]) -> Ints:
    return np.array(values, np.int64)


@st.composite
def cases(draw: st.DrawFn, *, forced: bool = True, most_w: int = 40, most: int = 8) -> Case:
    count = draw(st.integers(1, most))
    watts = st.integers(-most_w, most_w)
    ends = [sorted((draw(watts), draw(watts))) for _ in range(count)]
    if not forced:
        ends = [[min(low, 0), max(high, 0)] for low, high in ends]
    assets = draw(st.integers(0, 3))

    def column(values: st.SearchStrategy[int], length: int = count) -> Ints:
        return _ints([draw(values) for _ in range(length)])

    limit = st.integers(0, 60)
    return Case(
        target_w=draw(st.integers(-count * most_w, count * most_w)),
        low_w=_ints([low for low, _ in ends]),
        high_w=_ints([high for _, high in ends]),
        ranking=Ranking(
            number=_ints(draw(st.permutations(range(count)))),
            merit=column(st.integers(0, 2)),
            weight=column(st.sampled_from([1, 1, 2, 3, 1000])),
            asset=column(st.integers(-1, assets - 1)),
        ),
        assets=AssetLimits(import_w=column(limit, assets), export_w=column(limit, assets)),
    )


def _asset_flows(case: Case, setpoint_w: Ints) -> list[int]:
    return [
        int(setpoint_w[case.ranking.asset == asset].sum())
        for asset in range(len(case.assets.import_w))
    ]


@given(cases())
@settings(max_examples=EXAMPLES, deadline=None)
def test_setpoints_and_unserved_add_up_to_the_target(case: Case) -> None:
    result = case.allocated()
    assert int(result.setpoint_w.sum()) + result.unserved_w == case.target_w


@given(cases())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_asset_carries_more_than_its_limit(case: Case) -> None:
    flows = _asset_flows(case, case.allocated().setpoint_w)
    assert all(flow <= most for flow, most in zip(flows, case.assets.import_w, strict=True))
    assert all(-flow <= most for flow, most in zip(flows, case.assets.export_w, strict=True))


@given(cases())
@settings(max_examples=EXAMPLES, deadline=None)
def test_without_assets_no_setpoint_leaves_its_bounds(case: Case) -> None:
    ranking = replace(case.ranking, asset=np.full(len(case.low_w), -1))
    setpoint_w = replace(case, ranking=ranking, assets=AssetLimits.none()).allocated().setpoint_w
    assert (case.low_w <= setpoint_w).all()
    assert (setpoint_w <= case.high_w).all()


@given(cases(forced=False))
@settings(max_examples=EXAMPLES, deadline=None)
def test_nobody_works_against_the_target(case: Case) -> None:
    result = case.allocated()
    assert (case.low_w <= result.setpoint_w).all()
    assert (result.setpoint_w <= case.high_w).all()
    assert (result.setpoint_w * np.sign(case.target_w) >= 0).all()
    assert abs(result.unserved_w) <= abs(case.target_w)


@given(cases(), st.integers(0, 2**32))
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_order_of_rows_never_matters(case: Case, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(case.low_w))
    result, shuffled = case.allocated(), case.rows(order).allocated()
    assert (result.setpoint_w[order] == shuffled.setpoint_w).all()
    assert (result.reason[order] == shuffled.reason).all()


@given(cases(forced=False, most=8), st.integers(1, 7))
@settings(max_examples=EXAMPLES, deadline=None)
def test_more_resources_never_serve_less(case: Case, fewer: int) -> None:
    some = case.rows(np.arange(min(fewer, len(case.low_w))))
    assert abs(case.allocated().unserved_w) <= abs(some.allocated().unserved_w)


@given(cases(), st.integers(1, 100))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_higher_target_never_lowers_a_setpoint(case: Case, more_w: int) -> None:
    result, higher = case.allocated(), case.allocated(target_w=case.target_w + more_w)
    assert (result.setpoint_w <= higher.setpoint_w).all()


@given(cases(forced=False, most=6))
@settings(max_examples=EXAMPLES, deadline=None)
def test_serves_as_much_and_as_cheaply_as_the_linear_program(case: Case) -> None:
    result = case.allocated()
    served_w, cost = _linear_program(case)
    ours = np.abs(result.setpoint_w)
    assert int(ours.sum()) == served_w
    assert int((ours * case.ranking.merit).sum()) == cost


def _linear_program(case: Case) -> tuple[int, int]:
    """Most power served, and the least sum of merit x power that serves it (HiGHS)."""
    sign = 1 if case.target_w >= 0 else -1
    most = np.maximum(case.high_w if sign > 0 else -case.low_w, 0)
    limits = case.assets.import_w if sign > 0 else case.assets.export_w
    served = _optimum(case, most, limits, np.full(len(most), -1.0), least_w=0)
    cost = _optimum(
        case, most, limits, case.ranking.merit.astype(np.float64), least_w=round(-served)
    )
    return round(-served), round(cost)


def _optimum(case: Case, most: Ints, limits: Ints, cost: Floats, *, least_w: int) -> float:
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.silent()
    powers = [highs.addVariable(lb=0, ub=int(each)) for each in most]
    total = sum(powers[1:], start=powers[0])
    highs.addConstr(total <= abs(case.target_w))
    highs.addConstr(total >= least_w)
    for asset, limit in enumerate(limits):
        below = [p for p, a in zip(powers, case.ranking.asset, strict=True) if a == asset]
        if below:
            highs.addConstr(sum(below[1:], start=below[0]) <= int(limit))
    highs.minimize(sum(float(c) * p for c, p in zip(cost, powers, strict=True)))
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(highs.getObjectiveValue())


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_units_are_poured_in_the_order_of_levels(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    rows = sum(counts)

    def column(values: st.SearchStrategy[int]) -> Ints:
        return _ints([data.draw(values) for _ in range(rows)])

    vessels = Vessels(
        room=column(st.integers(0, 50)),
        weight=column(st.sampled_from([1, 2, 3, 7, MAX_WEIGHT])),
        number=_ints(data.draw(st.permutations(range(rows)))),
        starts=np.cumsum([0, *counts[:-1]]),
    )
    amounts = _ints([data.draw(st.integers(0, int(room))) for room in vessels.sums(vessels.room)])
    units = fill(amounts=amounts, vessels=vessels)
    for segment, start in enumerate(vessels.starts):
        part = slice(int(start), int(start) + counts[segment])
        assert units[part].tolist() == _poured(int(amounts[segment]), vessels, part)


def _poured(amount: int, vessels: Vessels, part: slice) -> list[int]:
    """Unit by unit, whoever's next unit comes at the lowest level, then number."""
    room, weight, number = vessels.room[part], vessels.weight[part], vessels.number[part]
    waiting = [(-(-(1 << 28) // int(weight[i])), int(number[i]), i, 1) for i in range(len(room))]
    waiting = [each for each in waiting if room[each[2]]]
    heapq.heapify(waiting)
    units = [0] * len(room)
    for _ in range(amount):
        _, order, i, nth = heapq.heappop(waiting)
        units[i] = nth
        if nth < room[i]:
            level = -(-((nth + 1) << 28) // int(weight[i]))
            heapq.heappush(waiting, (level, order, i, nth + 1))
    return units


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.77, 0.999, 1.0])
def test_a_hundred_thousand_rows_of_the_largest_numbers_are_exact(share: float) -> None:
    random = np.random.default_rng(7)
    vessels = Vessels(
        room=random.integers(0, MAX_ROOM + 1, 100_000),
        weight=random.integers(1, MAX_WEIGHT + 1, 100_000),
        number=random.permutation(100_000),
        starts=np.arange(0, 100_000, 1000),
    )
    amounts = (vessels.sums(vessels.room) * share).astype(np.int64)
    units = fill(amounts=amounts, vessels=vessels)
    assert (vessels.sums(units) == amounts).all()
    assert ((units >= 0) & (units <= vessels.room)).all()


def test_equal_rows_share_equally_and_the_odd_watts_go_to_the_lowest_numbers() -> None:
    bounds = Bounds.of(_ints([-1000] * 4), _ints([1000, 1000, 100, 1000]))
    result = allocate(target_w=1001, bounds=bounds, ranking=Ranking.equal(4))
    assert result.setpoint_w.tolist() == [301, 300, 100, 300]
    assert result.unserved_w == 0
    assert result.reason.tolist() == [Reason.DEMAND, Reason.DEMAND, Reason.CAR, Reason.DEMAND]


def test_cheaper_classes_come_first_and_weights_share_within_one() -> None:
    ranking = Ranking(
        number=np.arange(4),
        merit=_ints([1, 0, 1, 2]),
        weight=_ints([1, 1, 3, 1]),
        asset=_ints([-1] * 4),
    )
    bounds = Bounds.of(_ints([-500] * 4), _ints([0] * 4))
    result = allocate(target_w=-700, bounds=bounds, ranking=ranking)
    assert result.setpoint_w.tolist() == [-50, -500, -150, 0]


def test_an_overloaded_transformer_comes_before_a_promised_departure() -> None:
    ranking = Ranking(
        number=np.arange(3), merit=_ints([0] * 3), weight=_ints([1] * 3), asset=_ints([0, 0, -1])
    )
    bounds = Bounds.of(_ints([1000, 1000, 1000]), _ints([3000] * 3))
    assets = AssetLimits(import_w=_ints([1500]), export_w=_ints([0]))
    result = allocate(target_w=9000, bounds=bounds, ranking=ranking, assets=assets)
    assert result.setpoint_w.tolist() == [750, 750, 3000]
    assert result.unserved_w == 4500
    assert result.reason.tolist() == [Reason.ASSET, Reason.ASSET, Reason.CAR]


def test_what_must_charge_charges_although_discharge_is_asked_and_this_is_said() -> None:
    bounds = Bounds.of(_ints([400, -300]), _ints([1000, 1000]))
    result = allocate(target_w=-500, bounds=bounds, ranking=Ranking.equal(2))
    assert result.setpoint_w.tolist() == [400, -300]
    assert result.unserved_w == -600


def test_nobody_serves_nothing() -> None:
    empty = np.zeros(0, np.int64)
    result = allocate(target_w=5, bounds=Bounds.of(empty, empty), ranking=Ranking.equal(0))
    assert (result.unserved_w, len(result.setpoint_w)) == (5, 0)


@pytest.mark.parametrize(
    ("column", "value"), [("merit", -1), ("merit", 1 << 16), ("weight", 0), ("weight", 2048)]
)
def test_a_ranking_out_of_range_is_refused(column: str, value: int) -> None:
    with pytest.raises(ValueError, match=column):
        replace(Ranking.equal(2), **{column: _ints([1, value])})


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="above"):
        Bounds.of(_ints([2]), _ints([1]))
    with pytest.raises(ValueError, match="at most"):
        Bounds.of(_ints([0]), _ints([MAX_ROOM + 1]))
