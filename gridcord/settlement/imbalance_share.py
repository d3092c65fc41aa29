"""What those who left early bear of an imbalance.

A share follows from a driver's own deviation and a few figures of the area, not from what others
did: so it can be shown to the driver, and derived again, without anybody else's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.settlement.rounding import half_even
from gridcord.units import Money, Period, Price

_WH_A_KWH = 1000
_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaFigures:
    """What a share needs of a market result; of the rest it has a digest.

    Args:
        area: Of the market.
        period: The period.
        revision: Of the result.
        deviation_wh: Delivered beyond the contracts, Wh.
        left_early_wh: See `gridcord.settlement.imbalance.MarketResult`.
        imbalance_price: Of each kWh; None while it is not known.
        digest: Hexadecimal SHA-256 of the whole result, see `gridcord.evidence.area_figures`.
    """

    area: str
    period: Period
    revision: int
    deviation_wh: int
    left_early_wh: int
    imbalance_price: Price | None
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImbalanceShare:
    """What a driver who left early has to do with an imbalance.

    Args:
        cable_id: The cable.
        site_id: Where it was.
        driver: Name of the driver's account.
        record: Name of the record that says when it left.
        deviation_wh: Given to the grid beyond what it was counted on for, Wh; 0 when a later
            revision found that it did not deviate.
        figures: Of the area; of their revisions the highest counts.
    """

    cable_id: str
    site_id: str
    driver: str
    record: str
    deviation_wh: int
    figures: AreaFigures

    @property
    def period(self) -> Period:
        """The period."""
        return self.figures.period


def share_amount(*, share: ImbalanceShare, percent: int) -> Money | None:
    """What a driver bears of an imbalance (negative), or gains by it.

    The part that is passed on of what the own deviation costs; less, in proportion, where all who
    left early together are further away than the area is, because others made up for them.

    Args:
        share: The driver's deviation and the area's figures.
        percent: Of the cost, what is passed on, in [0, 100].

    Returns:
        One rounding, half to even, to the micro; None while there is no price, and for those who
        deviate the other way than their area.
    """
    figures = share.figures
    price = figures.imbalance_price
    if price is None or share.deviation_wh * figures.deviation_wh <= 0:
        return None
    area_wh, together_wh = abs(figures.deviation_wh), figures.left_early_wh
    borne_wh, of_wh = (area_wh, together_wh) if together_wh > area_wh else (1, 1)
    micros = price.micros_per_kwh * share.deviation_wh * borne_wh * percent
    return Money(price.currency, half_even(micros, _WH_A_KWH * of_wh * _PERCENT))
