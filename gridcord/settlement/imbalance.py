"""What a contract earns at the market, and what a deviation from it costs."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.units import Energy, Money, Period, Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a market took of a bid.

    Args:
        contract_id: Its name.
        energy_wh: Sold to the market, Wh; negative was bought.
        price: Of each kWh.
    """

    contract_id: str
    energy_wh: int
    price: Price

    @property
    def income(self) -> Money:
        """What the market pays for it; negative is paid to the market."""
        return self.price.times(Energy(self.energy_wh))


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResult:
    """The contracts of one area and period, and what was delivered.

    Args:
        area: Of the market.
        period: The period.
        contracts: All of them, by name.
        recorded_wh: Given to the grid by all records of cables that were known then, Wh; negative
            was taken. None where no cable counts, or none had told yet.
        telemetry_wh: Given by what hangs on no cable, or by everything where `recorded_wh` is
            None, as telemetry says, Wh.
        imbalance_price: For each kWh delivered beyond the contracts, paid to the aggregator; for
            each short of them, paid by the aggregator. One price (Japan, Great Britain). None
            while it is not known: then no deviation is settled.
        left_early_wh: How far those who left before they had said are away from what they were
            counted on for, of those alone who deviate the same way as the area, Wh, >= 0.
        revision: 0 for the first, one more for each that replaces it.
    """

    area: str
    period: Period
    contracts: tuple[Contract, ...]
    recorded_wh: int | None
    telemetry_wh: int
    imbalance_price: Price | None
    left_early_wh: int = 0
    revision: int = 0

    @property
    def delivered_wh(self) -> int:
        """Given to the grid, Wh; negative was taken."""
        return (self.recorded_wh or 0) + self.telemetry_wh

    @property
    def contracted_wh(self) -> int:
        """Sold to the market, Wh; negative was bought."""
        return sum(each.energy_wh for each in self.contracts)

    @property
    def deviation_wh(self) -> int:
        """Delivered beyond the contracts, Wh; negative is a shortfall."""
        return self.delivered_wh - self.contracted_wh

    @property
    def imbalance(self) -> Money | None:
        """What the imbalance settlement pays, negative is paid to it; None while unknown."""
        price = self.imbalance_price
        return None if price is None else price.times(Energy(self.deviation_wh))
