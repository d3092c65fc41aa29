"""Which sites and periods a bundle of evidence must hold, so that it follows from itself."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering import matcher_state
from gridcord.units import Period
from manager.storage.ledger.entries import FACT, MARKET
from manager.storage.ledger.settlement import unsettled
from manager.storage.rows import SiteRow, TransferRow

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
SITE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]


class NotJudged(ValueError):
    """A site has periods that the manager has not concluded about yet."""


class NothingThere(ValueError):
    """Nothing is known of what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asks a bundle about: a site, a driver, or with neither everything.

    Args:
        site_id: This site; empty for others.
        driver_id: All sites where this driver was; empty for a site or for all sites.
        from_s: Periods that start at or after this, seconds since 1970 UTC; None from the first.
        to_s: And before this; None for all that is judged.
    """

    site_id: str = ""
    driver_id: str = ""
    from_s: int | None = None
    to_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleScope:
    """What a bundle must hold.

    Args:
        site_ids: Of these sites.
        before_s: Of sites with a session before it only periods from here on, seconds since 1970
            UTC; of the others everything; None for everything of all.
        seen_before: Sites with a session before `before_s`: their matchers bring a state along.
        to_s: Periods that start before this.
        everything: All that is kept of that time, what came of it at the market too.
    """

    site_ids: frozenset[str]
    before_s: int | None
    seen_before: frozenset[str]
    to_s: int
    everything: bool

    def facts(self) -> Any:
        """The condition that the ledger's facts of the bundle fulfil."""
        about: Any = FACT.c.site_id.in_(self.site_ids)
        market: Any = (FACT.c.kind == MARKET) if self.everything else sa.false()
        if self.before_s is not None:
            late = FACT.c.period_start >= self.before_s
            about &= late | FACT.c.site_id.not_in(self.seen_before)
            market &= late
        return (about | market) & (FACT.c.period_start < self.to_s)


def bundle_scope(connection: Connection, wanted: Wanted) -> BundleScope:
    """What a bundle must hold to prove what is wanted.

    A cable that was at two sites in one period brings in the other site. A bundle does not begin
    inside a session: it begins with the session that ran at `from_s`.

    Raises:
        NothingThere: No record of that site or driver.
        NotJudged: A site has not been judged yet, or not up to `to_s`.
    """
    site_ids = frozenset(_closed(connection, _condition(wanted)))
    to_s = _horizon(connection, site_ids, wanted.to_s)
    if unsettled(connection, site_ids, before_s=to_s):
        message = "the ledger has not taken in all that is concluded yet: wait a moment"
        raise NotJudged(message)
    bounds = BundleScope(
        site_ids=site_ids,
        before_s=None,
        seen_before=frozenset(),
        to_s=to_s,
        everything=not (wanted.site_id or wanted.driver_id),
    )
    if wanted.from_s is None:
        return bounds
    if wanted.from_s >= to_s:
        message = f"nothing is concluded between {_time(wanted.from_s)} and {_time(to_s)}"
        raise NothingThere(message)
    begin_s, seen = _begin(connection, site_ids, wanted.from_s)
    return replace(bounds, before_s=begin_s, seen_before=seen)


def _condition(wanted: Wanted) -> Any:
    if wanted.site_id:
        return TRANSFER.c.site_id == wanted.site_id
    if not wanted.driver_id:
        return sa.true()
    return TRANSFER.c.driver_id == wanted.driver_id


def _closed(connection: Connection, wanted: Any) -> set[str]:
    """Sites of what is wanted, and those that share a cable's period with one of them."""
    sites = set(connection.execute(sa.select(TRANSFER.c.site_id).where(wanted)).scalars())
    if not sites:
        message = "nothing was transferred there"
        raise NothingThere(message)
    other = TRANSFER.alias()
    while True:
        query = (
            sa.select(other.c.site_id)
            .join(
                TRANSFER,
                (TRANSFER.c.cable_id == other.c.cable_id)
                & (TRANSFER.c.period_start == other.c.period_start),
            )
            .where(TRANSFER.c.site_id.in_(sites), other.c.site_id.not_in(sites))
        )
        more = set(connection.execute(query).scalars())
        if not more:
            return sites
        sites |= more


def _begin(
    connection: Connection, site_ids: frozenset[str], from_s: int
) -> tuple[int, frozenset[str]]:
    """Where no site of them has a running session, at or before `from_s`; who had one before."""
    query = sa.select(TRANSFER.c.site_id, TRANSFER.c.period_start, TRANSFER.c.period_length)
    rows = connection.execute(
        query.where(TRANSFER.c.site_id.in_(site_ids), TRANSFER.c.period_start < from_s)
        .distinct()
        .order_by(TRANSFER.c.period_start.desc())
    ).all()
    begin_s = from_s
    for row in rows:
        if row.period_start + row.period_length >= begin_s:
            begin_s = int(row.period_start)
    return begin_s, frozenset(row.site_id for row in rows if row.period_start < begin_s)


def _horizon(connection: Connection, site_ids: frozenset[str], to_s: int | None) -> int:
    """The end of what every site is judged up to, and no more than is wanted.

    A site of which nothing is left to judge holds nobody up: nobody may come there any more.
    """
    query = sa.select(SITE).where(SITE.c.site_id.in_(site_ids)).order_by(SITE.c.site_id)
    judged = {
        row.site_id: judged_s
        for row in connection.execute(query).all()
        if (judged_s := _judged_s(connection, row)) is not None
    }
    behind = [at_s for each, at_s in judged.items() if at_s < _last_s(connection, {each})]
    last_s = _last_s(connection, site_ids)
    horizon = min(behind, default=max((last_s, *judged.values())))
    if to_s is not None and horizon < to_s and horizon < last_s:
        message = (
            f"the manager has concluded about periods before {_time(horizon)} only: "
            "ask for those with --to, or wait"
        )
        raise NotJudged(message)
    return min(horizon, last_s if to_s is None else to_s)


def _judged_s(connection: Connection, row: Any) -> int | None:
    """The end of what is concluded about a site; None where there is nothing to conclude from."""
    if row.matched_period is not None:
        length_s = matcher_state.from_plain(json.loads(row.matcher_state)).site.length_s
        return int(row.matched_period) + length_s
    read = sa.select(FACT.c.part).where(
        FACT.c.site_id == row.site_id, FACT.c.kind.in_(("READING", "VERDICT"))
    )
    if connection.execute(read.limit(1)).first() is None:
        return None
    message = f"the manager has not concluded about {row.site_id} yet: wait a moment"
    raise NotJudged(message)


def _last_s(connection: Connection, site_ids: Collection[str]) -> int:
    """Just behind the start of the last period that anything is known of."""
    query = sa.select(sa.func.max(FACT.c.period_start)).where(FACT.c.site_id.in_(site_ids))
    return int(connection.execute(query).scalar() or 0) + 1


def _time(at_s: int) -> str:
    return str(Period(at_s, 1))
