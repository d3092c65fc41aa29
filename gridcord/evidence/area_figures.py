"""What of a market result is shown to a driver: a few figures, and a digest of the rest."""

from __future__ import annotations

import hashlib

from gridcord.evidence.plain import write
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.imbalance_share import AreaFigures


def area_figures(result: MarketResult) -> AreaFigures:
    """The figures of a result that shares are derived from.

    The digest is over the one text of the result that a bundle of everything shows, so whoever is
    shown that can tell that every driver was shown figures of the same result.
    """
    return AreaFigures(
        area=result.area,
        period=result.period,
        revision=result.revision,
        deviation_wh=result.deviation_wh,
        left_early_wh=result.left_early_wh,
        imbalance_price=result.imbalance_price,
        digest=hashlib.sha256(write(result).encode()).hexdigest(),
    )
