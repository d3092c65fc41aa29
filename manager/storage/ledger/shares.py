"""Who left early in a period of an area, and their shares of its imbalance as facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.evidence.area_figures import area_figures
from gridcord.metering.reading import ClockState
from gridcord.settlement.departure import (
    Departure,
    Expectation,
    departure,
    same_way,
)
from gridcord.settlement.facts import CableSubject
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.imbalance_share import ImbalanceShare
from gridcord.settlement.posting_rules import driver_account
from gridcord.settlement.transfer import Transfer
from gridcord.units import CableId, Period
from manager.storage.ledger.entries import FACT, SHARE, facts_about, facts_of
from manager.storage.ledger.withholdings import blocks_of, ended_sessions
from manager.storage.market.expectations import EXPECTATION, expectations_of
from manager.storage.rows import TransferRow

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]


def departures_of(
    connection: Connection, result: MarketResult, *, until_entry: int
) -> list[Departure]:
    """Who left early the same way as the area, by what the ledger knows.

    Args:
        connection: Of the transaction.
        result: Of the area and period; its deviation is known.
        until_entry: Number of the last journal entry that the ledger knows.
    """
    expected = expectations_of(
        connection,
        EXPECTATION.c.period_start == result.period.start_s,
        EXPECTATION.c.area_id == result.area,
    )
    ends_s = _last_ends(connection, result.period, until_entry) if expected else {}
    gone = [each for each in expected if ends_s.get(each.cable_id, each.until_s) < each.until_s]
    transfers = _transfers(connection, gone)
    withheld = blocks_of(connection, {each.record.site_id for each in transfers})
    withheld += [each.withholding for each in ended_sessions(connection, gone)]
    found = (
        departure(
            expectation=each,
            transfers=[t for t in transfers if t.key.cable_id == each.cable_id],
            withheld=withheld,
        )
        for each in gone
    )
    left = (each for each in found if each is not None)
    return same_way(left, deviation_wh=result.deviation_wh)


def shares_of(
    result: MarketResult, departures: Iterable[Departure], known: Iterable[ImbalanceShare]
) -> list[ImbalanceShare]:
    """A share for each who left early, and an empty one for each who turned out not to have.

    Args:
        result: Of the area and period, with its revision.
        departures: By all that is known now.
        known: What was said last.
    """
    figures = area_figures(result)
    shares = [
        ImbalanceShare(
            cable_id=each.transfer.key.cable_id,
            site_id=each.transfer.record.site_id,
            driver=driver_account(each.transfer).owner,
            record=str(each.transfer.key),
            deviation_wh=each.deviation_wh,
            figures=figures,
        )
        for each in departures
    ]
    named = {each.cable_id for each in shares}
    corrected = (each for each in known if each.deviation_wh and each.cable_id not in named)
    return shares + [replace(each, deviation_wh=0, figures=figures) for each in corrected]


def known_shares(connection: Connection, area: str, period: Period) -> list[ImbalanceShare]:
    """What the ledger knows last of each cable's share."""
    of_period = facts_of(connection, FACT.c.kind == SHARE, FACT.c.period_start == period.start_s)
    shares = (each.content for each in of_period)
    found = (each for each in shares if isinstance(each, ImbalanceShare))
    return list({each.cable_id: each for each in found if each.figures.area == area}.values())


def _last_ends(connection: Connection, period: Period, until_entry: int) -> dict[str, int]:
    """When the last record of each cable ends, seconds since 1970 UTC."""
    query = sa.select(TRANSFER.c.cable_id, sa.func.max(TRANSFER.c.end_s)).where(
        TRANSFER.c.period_start == period.start_s,
        TRANSFER.c.entry_number <= until_entry,
        TRANSFER.c.clock_state != ClockState.UNKNOWN.value,
    )
    rows = connection.execute(query.group_by(TRANSFER.c.cable_id))
    return {cable_id: int(end_s) for cable_id, end_s in rows}


def _transfers(connection: Connection, gone: Iterable[Expectation]) -> list[Transfer]:
    about = {CableSubject(CableId(each.cable_id), each.period) for each in gone}
    contents = (each.content for each in facts_about(connection, about))
    return [each for each in contents if isinstance(each, Transfer)]
