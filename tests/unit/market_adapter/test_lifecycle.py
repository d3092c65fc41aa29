"""Life of a bid: laws over all histories."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.units import Period, Price
from market_adapter.domain.bids import Bid, RefusalReason, Side
from market_adapter.domain.contracts import Contract, positions
from market_adapter.domain.lifecycle import (
    Accepted,
    BidEvent,
    BidState,
    BidStatus,
    Closed,
    Contracted,
    IllegalTransition,
    Rejected,
    Submitting,
    WithdrawalRefused,
    WithdrawalWanted,
    Withdrawn,
    advance,
)

BID = Bid(
    bid_id=UUID(int=1),
    market_id="m",
    area_id="tokyo",
    period=Period(1800),
    side=Side.SELL,
    energy_wh=300_000,
    limit_price=None,
)


def contract(contract_id: str, energy_wh: int) -> Contract:
    return Contract(
        contract_id=contract_id,
        bid_id=BID.bid_id,
        market_id="m",
        area_id="tokyo",
        period=BID.period,
        side=Side.SELL,
        energy_wh=energy_wh,
        price=Price("JPY", 1),
        at_s=0,
    )


REJECTED = Rejected(reason=RefusalReason.GATE_CLOSED, detail="late")
EVENTS: st.SearchStrategy[list[BidEvent]] = st.lists(
    st.sampled_from(
        [
            Submitting(),
            Accepted(venue_bid_id="7"),
            REJECTED,
            WithdrawalWanted(),
            WithdrawalRefused(),
            Withdrawn(),
            Closed(),
            *(
                Contracted(contract=contract(i, wh))
                for i, wh in (("a", 50_000), ("b", 100_000), ("c", 150_000), ("d", 300_000))
            ),
        ]
    ),
    max_size=12,
)


def live(events: Sequence[BidEvent]) -> list[BidStatus]:
    """All statuses of a history; events that cannot happen are left out of it."""
    statuses = [BidStatus(bid=BID)]
    for event in events:
        try:
            statuses.append(advance(status=statuses[-1], event=event))
        except IllegalTransition:
            continue
    return statuses


@given(EVENTS)
def test_a_closed_bid_stays_closed_and_only_reality_changes_it(events: list[BidEvent]) -> None:
    for before, after in pairwise(live(events)):
        if before.is_closed:
            assert after.is_closed
            assert after.open_wh == 0
            if after.contracts == before.contracts:
                assert after.state is before.state


@given(EVENTS)
def test_what_was_contracted_is_never_forgotten_nor_called_otherwise(
    events: list[BidEvent],
) -> None:
    statuses = live(events)
    for before, after in pairwise(statuses):
        assert after.contracts[: len(before.contracts)] == before.contracts
        if after.contracts:
            assert after.state in {BidState.PARTIALLY_CONTRACTED, BidState.CONTRACTED}
        whole = after.contracted_wh >= BID.energy_wh
        assert (after.state is BidState.CONTRACTED) == whole
        assert after.excess_wh == max(0, after.contracted_wh - BID.energy_wh)
        assert not (whole and not after.is_closed)


@given(EVENTS)
def test_saying_it_twice_changes_nothing(events: list[BidEvent]) -> None:
    status = BidStatus(bid=BID)
    for event in events:
        try:
            status = advance(status=status, event=event)
        except IllegalTransition:
            continue
        assert advance(status=status, event=event) == status


@given(EVENTS)
def test_a_rejected_bid_was_never_at_the_venue(events: list[BidEvent]) -> None:
    statuses = live(events)
    if statuses[-1].state is BidState.REJECTED:
        seen = {status.state for status in statuses}
        assert seen <= {BidState.DRAFT, BidState.SUBMITTING, BidState.REJECTED}
        assert statuses[-1].reason is RefusalReason.GATE_CLOSED


def after(*events: BidEvent) -> BidStatus:
    status = BidStatus(bid=BID)
    for event in events:
        status = advance(status=status, event=event)
    return status


A, B = Contracted(contract=contract("a", 50_000)), Contracted(contract=contract("b", 250_000))
SENT = (Submitting(), Accepted(venue_bid_id="7"))


@pytest.mark.parametrize(
    ("events", "state", "open_wh"),
    [
        ((), BidState.DRAFT, 300_000),
        ((Submitting(),), BidState.SUBMITTING, 300_000),
        (SENT, BidState.SUBMITTED, 300_000),
        ((Submitting(), REJECTED), BidState.REJECTED, 0),
        ((*SENT, A), BidState.PARTIALLY_CONTRACTED, 250_000),
        ((Submitting(), A), BidState.PARTIALLY_CONTRACTED, 250_000),  # before the answer came
        ((*SENT, A, B), BidState.CONTRACTED, 0),
        ((*SENT, Closed()), BidState.EXPIRED, 0),
        ((*SENT, A, Closed()), BidState.PARTIALLY_CONTRACTED, 0),
        ((*SENT, WithdrawalWanted(), Withdrawn()), BidState.WITHDRAWN, 0),
        ((WithdrawalWanted(), Withdrawn()), BidState.WITHDRAWN, 0),  # never sent
        ((*SENT, A, Withdrawn()), BidState.PARTIALLY_CONTRACTED, 0),
        ((*SENT, Withdrawn(), A), BidState.PARTIALLY_CONTRACTED, 0),  # matched just before
    ],
)
def test_ways_of_a_bid(events: tuple[BidEvent, ...], state: BidState, open_wh: int) -> None:
    status = after(*events)
    assert (status.state, status.open_wh) == (state, open_wh)


@pytest.mark.parametrize(
    "events",
    [
        (Accepted(venue_bid_id="7"),),
        (A,),
        (Closed(),),
        (Submitting(), REJECTED, A),
        (Submitting(), REJECTED, Accepted(venue_bid_id="7")),
        (*SENT, REJECTED),
    ],
)
def test_what_cannot_happen_is_refused(events: tuple[BidEvent, ...]) -> None:
    with pytest.raises(IllegalTransition):
        after(*events)


def test_positions_are_signed_towards_the_fleet() -> None:
    made = [contract("a", 50_000), contract("b", 100_000)]
    assert positions(made) == {("tokyo", BID.period): -150_000}
