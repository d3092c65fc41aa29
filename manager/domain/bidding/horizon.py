"""The plan of a fleet over the coming periods, as one linear program (HiGHS).

For each stay and period: energy in `c`, energy out `d` through the cable, and energy stored at the
end `e`, with e(t) = e(t-1) + eff_c c(t) - d(t) / eff_d, the reserve below, the ceiling above, the
promise at the departure. Cost: what is taken at the price, less what is given at the price, wear
for what is given, and a price for each Wh by which the fleet's sum deviates from what it sold or
bought. Charge and discharge in one period cancel in the answer; at prices above zero the losses
keep the optimum from using both.

Deterministic: one thread, the same simplex every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from manager.domain.bidding.stay import PERMILLE, Window
from manager.domain.dispatch.fleet_state import Floats
from manager.domain.dispatch.waterfill import Ints

_UNBOUNDED = 1e12
_MICROS = 1e6
_WH_PER_KWH = 1000.0
_OPTIONS: Mapping[str, bool | int | str] = {
    "output_flag": False,
    "threads": 1,
    "random_seed": 0,
    "presolve": "off",
}


class PlanError(RuntimeError):
    """The solver found no optimum: a window promises what it cannot reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """What the fleet's sum should be, and what it costs to miss it.

    Args:
        net_wh: Energy wanted of the planned stays together, Wh, + charging, by period.
        deviation_micros_per_kwh: Cost of each kWh more or less, >= 0, by period.
    """

    net_wh: Floats
    deviation_micros_per_kwh: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is believed of the coming periods.

    Args:
        first: Index of the first period.
        price_micros_per_kwh: Of each period from `first`; windows beyond the last are cut there.
        wear_micros_per_kwh: Of what is discharged.
        obligation: From `first` on, no longer than the prices; None for a free price taker.
        left_micros_per_kwh: Value of what is still stored where a window is cut; None for the mean
            of the prices.
    """

    first: int
    price_micros_per_kwh: Floats
    wear_micros_per_kwh: float
    obligation: Obligation | None = None
    left_micros_per_kwh: float | None = None

    @property
    def end(self) -> int:
        """Index of the first period that nothing is believed of."""
        return self.first + len(self.price_micros_per_kwh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What each stay does.

    Args:
        net_wh: Of each window, by period from its first, Wh, + charging; as long as the outlook.
        cost: Of the optimum, in the currency; with the value of what is still stored at a cut.
    """

    net_wh: tuple[Floats, ...]
    cost: float


def plan(windows: Sequence[Window], outlook: Outlook) -> Plan:
    """The cheapest plan that keeps every promise.

    Args:
        windows: The stays; each begins within the outlook.
        outlook: What is believed.

    Raises:
        PlanError: A window's promise is out of its reach.
    """
    if not windows:
        return Plan(net_wh=(), cost=0.0)
    return Program(windows, outlook).solved(outlook)


class Program:
    """The linear program of some stays; solved for other prices it starts from the last optimum.

    Args:
        windows: The stays, at least one; each begins within the outlook.
        outlook: What is believed.
    """

    def __init__(self, windows: Sequence[Window], outlook: Outlook) -> None:
        self._cells = _Cells(windows, outlook)
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in _OPTIONS.items():
            self._solver.setOptionValue(option, value)
        self._solver.passModel(_program(self._cells, outlook))

    def solved(self, outlook: Outlook) -> Plan:
        """The plan at an outlook that differs from the first one in nothing but prices.

        Raises:
            PlanError: A window's promise is out of its reach.
        """
        costs = self._cells.costs(outlook)
        self._solver.changeColsCost(len(costs), np.arange(len(costs), dtype=np.int32), costs)
        status = self._ran()
        if status != highspy.HighsModelStatus.kOptimal:
            # Begun at the optimum of other prices it may end at none, such as at a crisis.
            self._solver.clearSolver()
            status = self._ran()
        if status != highspy.HighsModelStatus.kOptimal:
            message = f"no plan: {self._solver.modelStatusToString(status)}"
            raise PlanError(message)
        values = np.array(self._solver.getSolution().col_value)
        count = self._cells.count
        net = values[:count] - values[count : 2 * count]
        return Plan(
            net_wh=tuple(np.split(net, self._cells.starts[1:])),
            cost=float(self._solver.getInfo().objective_function_value) / _WH_PER_KWH,
        )

    def _ran(self) -> highspy.HighsModelStatus:
        self._solver.run()
        return self._solver.getModelStatus()


class _Cells:
    """Stays laid end to end: one cell a stay and period, cut at the end of the outlook."""

    def __init__(self, windows: Sequence[Window], outlook: Outlook) -> None:
        lengths = np.array([min(each.end, outlook.end) - each.first for each in windows], np.int64)
        firsts = np.array([each.first for each in windows], np.int64) - outlook.first
        self.starts: Ints = np.cumsum(lengths) - lengths
        self.lasts: Ints = self.starts + lengths - 1
        self.count = int(lengths.sum())
        self.is_cut = np.array([each.end > outlook.end for each in windows])
        self.period: Ints = np.arange(self.count) + np.repeat(firsts - self.starts, lengths)
        pairs = list(zip(windows, lengths.tolist(), strict=True))
        self.charge_wh = np.concatenate([each.charge_wh[:n] for each, n in pairs])
        self.discharge_wh = np.concatenate([each.discharge_wh[:n] for each, n in pairs])
        self.energy_wh = np.array([each.energy_wh for each in windows], np.float64)
        self.stored = _repeated([w.battery.charge_permille / PERMILLE for w in windows], lengths)
        self.drawn = _repeated([PERMILLE / w.battery.discharge_permille for w in windows], lengths)
        self.most_wh = _repeated([max(w.battery.ceiling_wh, w.energy_wh) for w in windows], lengths)
        self.least_wh = _repeated([w.kept_wh for w in windows], lengths)
        due = [each.promise_wh - int(each.reach_wh[n - 1]) for each, n in pairs]
        self.least_wh[self.lasts] = np.maximum(self.least_wh[self.lasts], due)

    def costs(self, outlook: Outlook) -> Floats:
        """Cost of each column for a kWh: in, out, stored, and over and under an obligation.

        Columns are in Wh, so the objective is a thousand times the cost: of a Wh alone costs come
        near the solver's tolerance, and prices of a crisis then left it without an optimum.
        """
        scale = 1 / _MICROS
        price = outlook.price_micros_per_kwh * scale
        stored = np.zeros(self.count)
        left = outlook.left_micros_per_kwh
        stored[self.lasts[self.is_cut]] = -(price.mean() if left is None else left * scale)
        columns = [
            price[self.period],
            outlook.wear_micros_per_kwh * scale - price[self.period],
            stored,
        ]
        if outlook.obligation is not None:
            columns += [outlook.obligation.deviation_micros_per_kwh * scale] * 2
        return np.concatenate(columns)


def _repeated(values: Sequence[float], lengths: Ints) -> Floats:
    return np.repeat(np.array(values, np.float64), lengths)


def _program(cells: _Cells, outlook: Outlook) -> highspy.HighsLp:
    wanted = np.zeros(0) if outlook.obligation is None else outlook.obligation.net_wh
    periods = len(wanted)
    program = highspy.HighsLp()
    program.num_col_ = 3 * cells.count + 2 * periods
    program.num_row_ = cells.count + periods
    program.col_cost_ = cells.costs(outlook)
    program.col_lower_ = np.concatenate(
        [np.zeros(2 * cells.count), cells.least_wh, np.zeros(2 * periods)]
    )
    program.col_upper_ = np.concatenate(
        [cells.charge_wh, cells.discharge_wh, cells.most_wh, np.full(2 * periods, _UNBOUNDED)]
    )
    energy_wh = np.zeros(cells.count)
    energy_wh[cells.starts] = cells.energy_wh
    program.row_lower_ = program.row_upper_ = np.concatenate([energy_wh, wanted])
    counts, columns, values = _energy_rows(cells)
    if periods:
        rows = _obligation_rows(cells, periods)
        counts, columns, values = (
            np.concatenate(pair) for pair in zip((counts, columns, values), rows, strict=True)
        )
    matrix = program.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kRowwise
    matrix.start_ = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    matrix.index_ = columns.astype(np.int32)
    matrix.value_ = values
    return program


def _energy_rows(cells: _Cells) -> tuple[Ints, Ints, Floats]:
    """Rows e(t) - e(t-1) - eff_c c(t) + d(t) / eff_d = 0, or what is stored at the start."""
    cell = np.arange(cells.count)
    stored = 2 * cells.count + cell
    columns = np.column_stack([cell, cells.count + cell, stored, stored - 1])
    ones = np.ones(cells.count)
    values = np.column_stack([-cells.stored, cells.drawn, ones, -ones])
    used = np.ones((cells.count, 4), np.bool_)
    used[cells.starts, 3] = False
    return used.sum(axis=1), columns[used], values[used]


def _obligation_rows(cells: _Cells, periods: int) -> tuple[Ints, Ints, Floats]:
    """Rows sum(c - d) - over + under = wanted."""
    cell = np.flatnonzero(cells.period < periods)
    deviation = 3 * cells.count + np.arange(periods)
    row = np.concatenate([cells.period[cell], cells.period[cell], *([np.arange(periods)] * 2)])
    columns = np.concatenate([cell, cells.count + cell, deviation, deviation + periods])
    values = np.repeat([1.0, -1.0, -1.0, 1.0], [len(cell), len(cell), periods, periods])
    order = np.argsort(row, kind="stable")
    return np.bincount(row, minlength=periods), columns[order], values[order]
