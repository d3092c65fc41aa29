"""What is asked of the fleet in one area and period."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.units import Energy, Money, Period, Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the fleet should do; replaces what was said of the area and period before.

    Args:
        area_id: The market area.
        period: The period.
        target_wh: Net energy into the fleet, Wh: + charges, - discharges.
        contracted_wh: Of it, what stands in contracts.
        revision: Rises with each change.
        sources: Contract and event ids.
        import_limit_w: Most the fleet may take, by a grid constraint; None for no limit.
        export_limit_w: Most the fleet may give; None for no limit.
        activation: Demand response is active: full ramp, no random offset.
    """

    area_id: str
    period: Period
    target_wh: int
    contracted_wh: int = 0
    revision: int = 1
    sources: tuple[str, ...] = ()
    import_limit_w: int | None = None
    export_limit_w: int | None = None
    activation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandReport:
    """What was asked and what came of it.

    Args:
        demand: What was asked.
        allocated_wh: By setpoints, Wh.
        delivered_wh: From records of cables and telemetry of other resources, Wh.
        closed: The period is over and its records are in.
        imbalance_price: Of each kWh off the contracts; None while it is not known.
    """

    demand: Demand
    allocated_wh: int
    delivered_wh: int
    closed: bool
    imbalance_price: Price | None = None

    @property
    def imbalance(self) -> Money | None:
        """What is paid for the energy off the contracts, at one price; negative is to be paid.

        Charging more, or giving less, than contracted is bought at it; the other way is sold.
        """
        off_wh = self.delivered_wh - self.demand.contracted_wh
        price = self.imbalance_price
        return None if price is None else price.times(Energy(-off_wh))

    @property
    def imbalance_wh(self) -> int:
        """Delivered less asked, Wh."""
        return self.delivered_wh - self.demand.target_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What was done of a period until now.

    Args:
        allocated_wh: By setpoints, Wh.
        telemetry_wh: By telemetry, Wh.
        uncabled_wh: Of it, by resources on no smart cable: no record will tell it, Wh.
    """

    allocated_wh: int = 0
    telemetry_wh: int = 0
    uncabled_wh: int = 0


def area_power_w(*, target_wh: int, done_wh: float, left_s: float) -> int:
    """Power that brings the period's energy to the target in the time left, W.

    Args:
        target_wh: Of the whole period.
        done_wh: Until now.
        left_s: Seconds to the end of the period.
    """
    return round((target_wh - done_wh) * 3600 / max(left_s, 1.0))


def limited_w(power_w: int, *, demand: Demand) -> int:
    """A power within the grid's constraints."""
    if demand.import_limit_w is not None:
        power_w = min(power_w, demand.import_limit_w)
    if demand.export_limit_w is not None:
        power_w = max(power_w, -demand.export_limit_w)
    return power_w
