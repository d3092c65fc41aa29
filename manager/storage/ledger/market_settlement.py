"""Takes what periods came to at the market into the ledger, and corrects it when that changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy.engine import Connection

from gridcord.settlement.facts import AreaSubject
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.imbalance_share import ImbalanceShare
from gridcord.settlement.terms import Terms
from gridcord.units import Period
from manager.storage.followers import cursor_of
from manager.storage.ledger.entries import (
    ENTRIES,
    FACT,
    LedgerWriter,
    NewFact,
    facts_of,
    place_of,
)
from manager.storage.ledger.shares import departures_of, known_shares, shares_of
from manager.storage.market.results import market_result, take_due


def settle_market(
    connection: Connection, terms: Terms, *, area_of_cables: str, now_s: int, limit: int
) -> int:
    """Settle periods that are over; returns how many were looked at.

    Args:
        connection: Of the transaction.
        terms: What turns facts into money.
        area_of_cables: Whose demand the cables' records count for.
        now_s: Now, seconds since 1970 UTC.
        limit: Most periods.
    """
    due, looked_at = take_due(connection, now_s=now_s, limit=limit)
    new: list[NewFact] = []
    for area_id, period in due:
        new += _changed(connection, area_id, period, area_of_cables)
    LedgerWriter(connection, terms, now_s=now_s).add(new)
    return looked_at


def _changed(
    connection: Connection, area_id: str, period: Period, area_of_cables: str
) -> list[NewFact]:
    """The next revision of a result, with its shares; nothing when both are known."""
    until_entry = int(cursor_of(connection, ENTRIES) or 0)
    result = market_result(
        connection, area_id, period, area_of_cables=area_of_cables, until_entry=until_entry
    )
    if result is None:
        return []
    departures = departures_of(connection, result, until_entry=until_entry)
    known = _known(connection, AreaSubject(area_id, period))
    result = replace(
        result,
        left_early_wh=sum(abs(each.deviation_wh) for each in departures),
        revision=0 if known is None else known.revision + 1,
    )
    shared = known_shares(connection, area_id, period)
    shares = shares_of(result, departures, shared)
    if known == replace(result, revision=result.revision - 1) and _same(shared, shares):
        return []
    return [NewFact(content=result), *(NewFact(content=each) for each in shares)]


def _same(before: Iterable[ImbalanceShare], after: Iterable[ImbalanceShare]) -> bool:
    """Whether the same cables left early in the same way."""
    said, says = (
        {(each.cable_id, each.driver, each.record, each.deviation_wh) for each in shares}
        for shares in ((each for each in before if each.deviation_wh), after)
    )
    return said == says


def _known(connection: Connection, subject: AreaSubject) -> MarketResult | None:
    of_area = FACT.c.site_id == place_of(subject)
    stored = facts_of(connection, of_area, FACT.c.period_start == subject.period.start_s)
    found = [each.content for each in stored if isinstance(each.content, MarketResult)]
    return max(found, key=lambda each: each.revision, default=None)
