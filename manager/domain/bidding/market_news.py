"""What the market tells that money follows from: contracts, and what an imbalance costs."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.settlement.imbalance import Contract
from gridcord.units import Period, Price


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaContract:
    """A contract with where and when it is to be kept.

    Args:
        area_id: Of the market.
        period: The period.
        contract: What was sold or bought.
    """

    area_id: str
    period: Period
    contract: Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class ImbalancePrice:
    """What an imbalance of an area and period costs.

    Args:
        area_id: Of the market.
        period: The period.
        price: The newest that was published.
    """

    area_id: str
    period: Period
    price: Price


MarketNews = AreaContract | ImbalancePrice
