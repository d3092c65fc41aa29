"""What a contract earns at the market, and what a deviation from it costs."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.settlement.caps import divided_money
from gridcord.settlement.rounding import half_even
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
        delivered_wh: Given to the grid, Wh; negative was taken.
        imbalance_price: For each kWh delivered beyond the contracts, paid to the aggregator; for
            each short of them, paid by the aggregator. One price (Japan, Great Britain). None
            while it is not known: then no deviation is settled.
        deviations_wh: By driver: delivered minus asked for, Wh; who is not named kept to it.
        revision: 0 for the first, higher for what replaces it.
    """

    area: str
    period: Period
    contracts: tuple[Contract, ...]
    delivered_wh: int
    imbalance_price: Price | None
    deviations_wh: tuple[tuple[str, int], ...] = ()
    revision: int = 0

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


def imbalance_shares(*, result: MarketResult, percent: int) -> dict[str, Money]:
    """What those who caused an imbalance bear of it, or gain by it.

    Args:
        result: Of the area and period.
        percent: Share of the imbalance that is passed on, in [0, 100].

    Returns:
        By driver: the share divided among those who deviated the same way as the sum, in
        proportion to their deviation, to the micro; nothing when nobody did, or while there is
        no price.
    """
    whole = result.imbalance
    if whole is None:
        return {}
    sign = 1 if result.deviation_wh >= 0 else -1
    weights = {name: each * sign for name, each in result.deviations_wh if each * sign > 0}
    passed_on = Money(whole.currency, half_even(whole.micros * percent, 100))
    return divided_money(amount=passed_on, weights=weights)
