"""Demand: what the fleet should do in one area and period, from everything that asks for it.

Contracts, activations of reserve, demand-response events and the balancing group's imbalance add
up to one target; grid constraints bound it; forecasts, weather and prices travel along as
information. What a source says is always the whole of what it says now, so a cancelled event is
simply no longer there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from gridcord.units import Period
from market_adapter.domain.contracts import Contract


class SignalKind(StrEnum):
    """What a signal is about."""

    ACTIVATION = "ACTIVATION"  # Wh into the fleet (+) or out of it (-), on top of contracts
    IMBALANCE = "IMBALANCE"  # Wh: surplus (+) or shortage (-) of our balancing group
    IMPORT_LIMIT = "IMPORT_LIMIT"  # W: most the fleet may take from the grid
    EXPORT_LIMIT = "EXPORT_LIMIT"  # W: most the fleet may give to the grid
    PRICE = "PRICE"  # micros of a currency per kWh
    FORECAST = "FORECAST"  # of load or generation
    WEATHER = "WEATHER"


_UNITS = {
    SignalKind.ACTIVATION: "Wh",
    SignalKind.IMBALANCE: "Wh",
    SignalKind.IMPORT_LIMIT: "W",
    SignalKind.EXPORT_LIMIT: "W",
}
_LIMITS = frozenset({SignalKind.IMPORT_LIMIT, SignalKind.EXPORT_LIMIT})
_ENERGIES = frozenset({SignalKind.ACTIVATION, SignalKind.IMBALANCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandSignal:
    """One value that somebody says of an area and period.

    Args:
        kind: What it is about.
        area_id: The area.
        period: The period.
        value: The value; whole Wh or W for kinds that steer, limits not negative.
        unit: Unit of the value: "Wh", "W", or as the source says ("JPY micros/kWh", "Cel").
        source: Who says so and in what, such as "openadr3:event-17".

    Raises:
        ValueError: The unit or the value is impossible for the kind.
    """

    kind: SignalKind
    area_id: str
    period: Period
    value: Decimal
    unit: str
    source: str

    def __post_init__(self) -> None:
        if not self.value.is_finite() or not self.unit or not self.source:
            message = f"a signal has a finite value, a unit and a source: {self!r}"
            raise ValueError(message)
        unit = _UNITS.get(self.kind)
        if unit is None:
            return
        if self.unit != unit or self.value != self.value.to_integral_value():
            message = f"{self.kind} is a whole number of {unit}, not {self.value} {self.unit}"
            raise ValueError(message)
        if self.kind in _LIMITS and self.value < 0:
            message = f"{self.kind} is not negative: {self.value}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the fleet should do in one area and period; replaces what was said of it before.

    Args:
        area_id: The area.
        period: The period.
        target_wh: Net energy wanted into the fleet: + charges, - discharges, Wh.
        contracted_wh: Of it, what stands in contracts.
        revision: Rises with each change of this area and period, from 1.
        contract_ids: Contracts it comes from.
        sources: Signals it comes from.
        import_limit_w: Most the fleet may take from the grid, W; None without a constraint.
        export_limit_w: Most the fleet may give to the grid, W; None without a constraint.
        is_activation: Demand response was activated: no random start offset, full ramp.
    """

    area_id: str
    period: Period
    target_wh: int
    contracted_wh: int
    revision: int
    contract_ids: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    import_limit_w: int | None = None
    export_limit_w: int | None = None
    is_activation: bool = False


def fold_demand(
    *,
    area_id: str,
    period: Period,
    contracts: Iterable[Contract],
    signals: Iterable[DemandSignal],
    previous: Demand | None,
) -> Demand:
    """Fold what is known of an area and period into its demand.

    The order of contracts and signals never matters. The revision rises only when something else
    changed.

    Args:
        area_id: The area.
        period: The period.
        contracts: Contracts; those of other areas and periods are left out.
        signals: Signals; likewise.
        previous: What was said before; None when nothing was.
    """
    ours = [c for c in contracts if (c.area_id, c.period) == (area_id, period)]
    said = [s for s in signals if (s.area_id, s.period) == (area_id, period)]
    contracted_wh = sum(c.into_fleet_wh for c in ours)
    added_wh = sum(int(s.value) for s in said if s.kind in _ENERGIES)
    demand = Demand(
        area_id=area_id,
        period=period,
        target_wh=contracted_wh + added_wh,
        contracted_wh=contracted_wh,
        revision=previous.revision if previous else 1,
        contract_ids=tuple(sorted(c.contract_id for c in ours)),
        sources=tuple(sorted({s.source for s in said if s.kind in _UNITS})),
        import_limit_w=_least(said, SignalKind.IMPORT_LIMIT),
        export_limit_w=_least(said, SignalKind.EXPORT_LIMIT),
        is_activation=any(s.kind is SignalKind.ACTIVATION and s.value for s in said),
    )
    if previous is None or demand == previous:
        return demand
    return replace(demand, revision=previous.revision + 1)


def _least(signals: Iterable[DemandSignal], kind: SignalKind) -> int | None:
    return min((int(s.value) for s in signals if s.kind is kind), default=None)
