"""Contracts: what a market took, and what that adds up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from gridcord.units import Period, Price
from market_adapter.domain.bids import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What the market took of a bid. A bid may have several.

    Args:
        contract_id: Chosen by the venue's adapter from what the venue says; the same whenever the
            venue is asked again, and unique within the market.
        bid_id: The bid.
        market_id: The market.
        area_id: The area.
        period: The period.
        side: The side.
        energy_wh: Wh, > 0.
        price: The price settled.
        at_s: When, seconds since 1970 UTC.
    """

    contract_id: str
    bid_id: UUID
    market_id: str
    area_id: str
    period: Period
    side: Side
    energy_wh: int
    price: Price
    at_s: int

    @property
    def into_fleet_wh(self) -> int:
        """Energy that the fleet must take (+) or give (-), Wh."""
        return self.energy_wh if self.side is Side.BUY else -self.energy_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a venue says became of a bid.

    Args:
        contracts: All contracts of the bid so far.
        is_final: No more will come.
    """

    contracts: tuple[Contract, ...]
    is_final: bool


class PriceKind(StrEnum):
    """What a price is of."""

    DAY_AHEAD = "DAY_AHEAD"  # the auction's
    IMBALANCE = "IMBALANCE"  # of each kWh delivered beyond, or short of, what was contracted


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaPrice:
    """A price that was made known.

    Args:
        market_id: The market; for an imbalance, whoever settles it.
        kind: What it is of.
        area_id: The area.
        period: The period.
        price: The price.
        published_s: When it became known, seconds since 1970 UTC.
    """

    market_id: str
    kind: PriceKind
    area_id: str
    period: Period
    price: Price
    published_s: int


def positions(contracts: Iterable[Contract]) -> Mapping[tuple[str, Period], int]:
    """Net contracted energy per area and period: + into the fleet, - out of it, Wh."""
    sums: defaultdict[tuple[str, Period], int] = defaultdict(int)
    for contract in contracts:
        sums[contract.area_id, contract.period] += contract.into_fleet_wh
    return dict(sums)
