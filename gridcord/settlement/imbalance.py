"""What a contract earns at the market, and what a deviation from it costs."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.settlement.caps import divided_money
from gridcord.settlement.rounding import half_even
from gridcord.units import Energy, Money, Period, Price


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResult:
    """A contract of one area and period, and what was delivered.

    Args:
        area: Of the market.
        period: The period.
        contracted_wh: Sold to the market, Wh; negative was bought.
        delivered_wh: Given to the grid, Wh; negative was taken.
        contract_price: Of the contract.
        imbalance_price: For each kWh delivered beyond the contract, paid to the aggregator; for
            each short of it, paid by the aggregator. One price (Japan, Great Britain).
        deviations_wh: By driver: delivered minus asked for, Wh; who is not named kept to it.
        revision: 0 for the first, higher for what replaces it.
    """

    area: str
    period: Period
    contracted_wh: int
    delivered_wh: int
    contract_price: Price
    imbalance_price: Price
    deviations_wh: tuple[tuple[str, int], ...] = ()
    revision: int = 0

    @property
    def deviation_wh(self) -> int:
        """Delivered beyond the contract, Wh; negative is a shortfall."""
        return self.delivered_wh - self.contracted_wh

    @property
    def income(self) -> Money:
        """What the market pays for the contract; negative is paid to it."""
        return self.contract_price.times(Energy(self.contracted_wh))

    @property
    def imbalance(self) -> Money:
        """What the imbalance settlement pays; negative is paid to it."""
        return self.imbalance_price.times(Energy(self.deviation_wh))


def imbalance_shares(*, result: MarketResult, percent: int) -> dict[str, Money]:
    """What those who caused an imbalance bear of it, or gain by it.

    Args:
        result: Of the area and period.
        percent: Share of the imbalance that is passed on, in [0, 100].

    Returns:
        By driver: the share divided among those who deviated the same way as the sum, in
        proportion to their deviation, to the micro; nothing when nobody did.
    """
    sign = 1 if result.deviation_wh >= 0 else -1
    weights = {name: each * sign for name, each in result.deviations_wh if each * sign > 0}
    whole = result.imbalance
    passed_on = Money(whole.currency, half_even(whole.micros * percent, 100))
    return divided_money(amount=passed_on, weights=weights)
