"""What of the market and of closed months a bundle of evidence holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.settlement.departure import Expectation
from gridcord.settlement.facts import AccountSubject, Payout
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.imbalance_share import ImbalanceShare
from manager.storage.ledger.entries import (
    FACT,
    LEDGER,
    PAYOUT,
    POSTING,
    StoredFact,
    facts_of,
)
from manager.storage.market.expectations import EXPECTATION, expectations_of


def expectations_behind(connection: Connection, facts: Iterable[StoredFact]) -> list[Expectation]:
    """What cables were counted on for, where a result or a share of the bundle rests on it.

    Of a result that is shown all cables of its area and period, else the cables with a share.
    """
    areas: set[tuple[int, str]] = set()
    cables: set[tuple[int, str]] = set()
    for each in facts:
        match each.content:
            case MarketResult() as result:
                areas.add((result.period.start_s, result.area))
            case ImbalanceShare() as share:
                cables.add((share.period.start_s, share.cable_id))
    starts = {start_s for start_s, _ in areas | cables}
    if not starts:
        return []
    within = EXPECTATION.c.period_start.between(min(starts), max(starts))
    return [
        each
        for each in expectations_of(connection, within)
        if (each.period.start_s, each.area) in areas
        or (each.period.start_s, each.cable_id) in cables
    ]


def payouts_of(connection: Connection, subjects: Collection[str]) -> list[StoredFact]:
    """Payouts that follow from a bundle: all that their accounts were owed for is in it.

    Args:
        connection: Of the snapshot.
        subjects: What the bundle's other facts are about.
    """
    payouts = list(facts_of(connection, FACT.c.kind == PAYOUT))
    owed = _owed_for(connection, payouts)
    held, found = set(subjects), []
    for each in payouts:
        payout = each.content
        assert isinstance(payout, Payout)
        within = (
            subject
            for subject, start_s in owed[str(payout.account)]
            if payout.before_s is None or start_s < payout.before_s
        )
        own = str(AccountSubject(payout.account, payout.month))
        if all(subject in held or subject == own for subject in within):
            held.add(own)
            found.append(each)
    return found


def _owed_for(
    connection: Connection, payouts: Iterable[StoredFact]
) -> defaultdict[str, list[tuple[str, int]]]:
    """What the entries of each account that was paid are about, and when that began."""
    paid = {str(each.content.account) for each in payouts if isinstance(each.content, Payout)}
    query = (
        sa.select(POSTING.c.account, LEDGER.c.subject, LEDGER.c.period_start)
        .join(LEDGER, LEDGER.c.ledger_number == POSTING.c.ledger_number)
        .where(POSTING.c.account.in_(sorted(paid)))
        .distinct()
    )
    owed: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for row in connection.execute(query) if paid else ():
        owed[row.account].append((row.subject, row.period_start))
    return owed
