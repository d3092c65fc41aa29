"""Takes what periods came to at the market into the ledger, and corrects it when that changes."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.engine import Connection

from gridcord.settlement.facts import AreaSubject
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.terms import Terms
from gridcord.units import Period
from manager.storage.ledger.entries import FACT, LedgerWriter, NewFact, facts_of, place_of
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
    found = (_changed(connection, area_id, period, area_of_cables) for area_id, period in due)
    new = [NewFact(content=result) for result in found if result is not None]
    LedgerWriter(connection, terms, now_s=now_s).add(new)
    return looked_at


def _changed(
    connection: Connection, area_id: str, period: Period, area_of_cables: str
) -> MarketResult | None:
    """The next revision of a result; None when it is what the ledger knows."""
    known = _known(connection, AreaSubject(area_id, period))
    revision = 0 if known is None else known.revision + 1
    result = market_result(
        connection, area_id, period, area_of_cables=area_of_cables, revision=revision
    )
    same = result is not None and known == replace(result, revision=revision - 1)
    return None if same else result


def _known(connection: Connection, subject: AreaSubject) -> MarketResult | None:
    of_area = FACT.c.site_id == place_of(subject)
    stored = facts_of(connection, of_area, FACT.c.period_start == subject.period.start_s)
    found = [each.content for each in stored if isinstance(each.content, MarketResult)]
    return max(found, key=lambda each: each.revision, default=None)
