"""Accounts and postings of the double-entry ledger."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridcord.units import Money


class AccountKind(StrEnum):
    """Whose money it is."""

    DRIVER = "DRIVER"
    HOST = "HOST"
    AGGREGATOR = "AGGREGATOR"
    UTILITY = "UTILITY"
    MARKET = "MARKET"
    IMBALANCE = "IMBALANCE"
    BANK = "BANK"  # what has been paid out or collected


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """One account; a positive balance is what its owner is owed.

    Args:
        kind: Whose.
        owner: Which one of them; empty where there is only one.
    """

    kind: AccountKind
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.owner}"

    @classmethod
    def parse(cls, text: str) -> Account:
        """Read what `str` wrote; ValueError when it is none."""
        kind, colon, owner = text.partition(":")
        if not colon:
            message = f"no account: {text[:40]!r}"
            raise ValueError(message)
        return cls(AccountKind(kind), owner)


AGGREGATOR = Account(AccountKind.AGGREGATOR)
UTILITY = Account(AccountKind.UTILITY)
BANK = Account(AccountKind.BANK)


class Purpose(StrEnum):
    """What a posting is for."""

    AVAILABILITY = "AVAILABILITY"
    ENERGY = "ENERGY"
    HOST_FEE = "HOST_FEE"
    OWN_ENERGY = "OWN_ENERGY"
    GUEST_ENERGY = "GUEST_ENERGY"
    CONTRACT = "CONTRACT"
    IMBALANCE = "IMBALANCE"
    PAYOUT = "PAYOUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One line of an entry.

    Args:
        account: Whose balance it changes.
        purpose: What for.
        amount: + is owed to the account, - by it.
    """

    account: Account
    purpose: Purpose
    amount: Money

    def reversed(self) -> Posting:
        """The line that undoes it."""
        return Posting(account=self.account, purpose=self.purpose, amount=-self.amount)
