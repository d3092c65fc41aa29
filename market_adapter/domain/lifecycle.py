"""Life of a bid: a pure state machine.

    DRAFT -> SUBMITTING -> SUBMITTED -> (PARTIALLY_)CONTRACTED | EXPIRED | WITHDRAWN
                        -> REJECTED

Events may come twice and contracts may come before the acceptance they imply; both change nothing
that is already known. A bid of which anything was contracted is never called expired or withdrawn:
it stays PARTIALLY_CONTRACTED and is closed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from market_adapter.domain.bids import Bid, RefusalReason
from market_adapter.domain.contracts import Contract


class BidState(StrEnum):
    """Where a bid stands."""

    DRAFT = "DRAFT"  # stored, not yet to be sent
    SUBMITTING = "SUBMITTING"  # the venue may or may not have it
    SUBMITTED = "SUBMITTED"  # the venue has it
    PARTIALLY_CONTRACTED = "PARTIALLY_CONTRACTED"
    CONTRACTED = "CONTRACTED"
    EXPIRED = "EXPIRED"  # the venue took nothing of it
    WITHDRAWN = "WITHDRAWN"  # taken back before anything was contracted
    REJECTED = "REJECTED"  # the venue refused it


class IllegalTransition(ValueError):
    """An event that this state cannot meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BidStatus:
    """A bid and what became of it.

    Args:
        bid: The bid.
        state: Where it stands.
        is_closed: Nothing more will become of it.
        venue_bid_id: The venue's own number of it; "" while not known.
        withdrawal_wanted: It is to be taken back as soon as the venue can be asked.
        reason: Why it was rejected; None when it was not.
        detail: Why, for people.
        contracts: What was taken of it.
    """

    bid: Bid
    state: BidState = BidState.DRAFT
    is_closed: bool = False
    venue_bid_id: str = ""
    withdrawal_wanted: bool = False
    reason: RefusalReason | None = None
    detail: str = ""
    contracts: tuple[Contract, ...] = ()

    @property
    def contracted_wh(self) -> int:
        """Energy that was taken, Wh."""
        return sum(contract.energy_wh for contract in self.contracts)

    @property
    def open_wh(self) -> int:
        """Energy that may still be taken, Wh."""
        return 0 if self.is_closed else self.bid.energy_wh - self.contracted_wh

    @property
    def excess_wh(self) -> int:
        """Energy taken beyond the bid, Wh: more than 0 only if the venue had the bid twice.

        It is owed all the same, so it counts in the position and is not hidden.
        """
        return max(0, self.contracted_wh - self.bid.energy_wh)


@dataclass(frozen=True, slots=True)
class Submitting:
    """The bid is on its way: from now on the venue may have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The venue has the bid.

    Args:
        venue_bid_id: The venue's own number of it; "" where it gives none.
    """

    venue_bid_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The venue refused the bid.

    Args:
        reason: Why, for programs.
        detail: Why, for people.
    """

    reason: RefusalReason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracted:
    """The venue took something of the bid."""

    contract: Contract


@dataclass(frozen=True, slots=True)
class WithdrawalWanted:
    """The bid is to be taken back."""


@dataclass(frozen=True, slots=True)
class WithdrawalRefused:
    """The venue does not give the bid back: it stands."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The venue no longer has the bid, because it was taken back."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The venue will take nothing more of the bid."""


BidEvent = (
    Submitting
    | Accepted
    | Rejected
    | Contracted
    | WithdrawalWanted
    | WithdrawalRefused
    | Withdrawn
    | Closed
)

_BEFORE_VENUE = frozenset({BidState.DRAFT, BidState.SUBMITTING})


def advance(*, status: BidStatus, event: BidEvent) -> BidStatus:
    """The status after an event.

    Raises:
        IllegalTransition: The event cannot happen in this state. Repeating what is known already
            is never illegal.
    """
    match event:
        case Submitting():
            return _submitting(status)
        case Accepted(venue_bid_id=number):
            return _accepted(status, number)
        case Rejected(reason=reason, detail=detail):
            return _rejected(status, reason, detail)
        case Contracted(contract=contract):
            return _contracted(status, contract)
        case WithdrawalWanted():
            return status if status.is_closed else replace(status, withdrawal_wanted=True)
        case WithdrawalRefused():
            return replace(status, withdrawal_wanted=False)
        case Withdrawn():
            return _ended(status, BidState.WITHDRAWN)
        case Closed():
            return _ended(status, BidState.EXPIRED)


def _submitting(status: BidStatus) -> BidStatus:
    return replace(status, state=BidState.SUBMITTING) if status.state is BidState.DRAFT else status


def _accepted(status: BidStatus, number: str) -> BidStatus:
    if status.state in {BidState.DRAFT, BidState.REJECTED}:
        _illegal(status, "accepted")
    known = replace(status, venue_bid_id=status.venue_bid_id or number)
    if status.state is not BidState.SUBMITTING:
        return known
    return replace(known, state=BidState.SUBMITTED)


def _rejected(status: BidStatus, reason: RefusalReason, detail: str) -> BidStatus:
    if status.state is BidState.REJECTED:
        return status
    if status.state not in _BEFORE_VENUE:
        _illegal(status, "rejected")
    return replace(status, state=BidState.REJECTED, is_closed=True, reason=reason, detail=detail)


def _contracted(status: BidStatus, contract: Contract) -> BidStatus:
    if any(known.contract_id == contract.contract_id for known in status.contracts):
        return status
    if status.state in {BidState.DRAFT, BidState.REJECTED}:
        _illegal(status, "contracted")
    contracts = (*status.contracts, contract)
    if status.contracted_wh + contract.energy_wh >= status.bid.energy_wh:
        return replace(status, contracts=contracts, state=BidState.CONTRACTED, is_closed=True)
    return replace(status, contracts=contracts, state=BidState.PARTIALLY_CONTRACTED)


def _ended(status: BidStatus, unless_contracted: BidState) -> BidStatus:
    if status.is_closed:
        return status
    if status.state is BidState.DRAFT and unless_contracted is BidState.EXPIRED:
        _illegal(status, "expired")
    state = status.state if status.contracts else unless_contracted
    return replace(status, state=state, is_closed=True)


def _illegal(status: BidStatus, what: str) -> None:
    message = f"a {status.state} bid cannot be {what}: {status.bid.bid_id}"
    raise IllegalTransition(message)
