"""Closes a month: what drivers and hosts are owed is rounded once and paid, or collected."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.settlement.account import Account, AccountKind
from gridcord.settlement.facts import Payout
from gridcord.settlement.statement import Month, rounded
from gridcord.settlement.terms import Terms
from gridcord.units import Money
from manager.storage.audit import chain
from manager.storage.ledger.entries import (
    FACT,
    LEDGER,
    PAYOUT,
    POSTING,
    LedgerWriter,
    NewFact,
    facts_of,
)
from manager.storage.ledger.settlement import waits

_PAID = (AccountKind.DRIVER, AccountKind.HOST)
GRACE_S = 86_400  # most cables and utilities have told by then; what comes later is carried over


class NotOver(ValueError):
    """The month is not over, or the ledger has not taken everything in yet."""


def close_month(
    connection: Connection, terms: Terms, month: Month, *, currency: str, actor: str, now_s: int
) -> list[Payout]:
    """Post what every driver and host is owed by the end of a month; once for each of them.

    What came after the month was closed is in the opening of a later one, and paid with that.

    Args:
        connection: Of the transaction.
        terms: What turns facts into money.
        month: Which.
        currency: What is paid in; amounts in others stay owed.
        actor: Who closes it, for the audit log.
        now_s: Now, seconds since 1970 UTC.

    Returns:
        New payouts, by account; nothing for those who are even or were paid for the month.

    Raises:
        NotOver: It ended less than a day ago, or the ledger has not taken everything in.
    """
    end_s = month.bounds()[1]
    if now_s < end_s + GRACE_S or waits(connection):
        message = f"{month.name} is not over, or ended less than a day ago: close it later"
        raise NotOver(message)
    paid = _paid(connection, month)
    owed = _owed(connection, currency, before_s=end_s)
    new = [
        Payout(account=account, month=month.name, amount=amount, before_s=end_s)
        for account, amount in sorted(owed.items())
        if amount.micros and account not in paid
    ]
    facts = [NewFact(content=payout) for payout in new]
    LedgerWriter(connection, terms, now_s=now_s).add(facts)
    chain.append(
        connection,
        actor=actor,
        action="MONTH_CLOSED",
        subject=month.name,
        now_s=now_s,
        payouts=len(new),
    )
    return new


def _owed(connection: Connection, currency: str, *, before_s: int) -> dict[Account, Money]:
    """What each account is owed for all time before, in whole minor units."""
    query = (
        sa.select(POSTING.c.account, sa.func.sum(POSTING.c.micros).label("micros"))
        .join(LEDGER, LEDGER.c.ledger_number == POSTING.c.ledger_number)
        .where(LEDGER.c.period_start < before_s, POSTING.c.currency == currency)
        .group_by(POSTING.c.account)
    )
    sums = {Account.parse(row.account): int(row.micros) for row in connection.execute(query)}
    return {
        account: rounded(Money(currency, micros))
        for account, micros in sums.items()
        if account.kind in _PAID
    }


def _paid(connection: Connection, month: Month) -> set[Account]:
    """Who was paid for a month already."""
    found = facts_of(connection, FACT.c.kind == PAYOUT)
    payouts = (each.content for each in found)
    return {p.account for p in payouts if isinstance(p, Payout) and p.month == month.name}
