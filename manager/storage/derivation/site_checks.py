"""Everything known of a site, put together for the manager's own conclusion, and what it makes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.matcher import Matcher
from gridcord.metering.matcher_state import MatcherStateError, from_plain, to_plain
from gridcord.metering.matching import Match, MatchPolicy
from gridcord.metering.reading import ReadingSource, SiteReading
from gridcord.metering.verdict import StatedMatch, stated
from gridcord.units import Period, SiteId
from manager.domain.trust.block_rules import (
    BlockPolicy,
    SiteFindings,
    Subject,
    blocks_for,
    can_be_proven,
)
from manager.domain.trust.site import RegisteredSite, distance_m
from manager.domain.trust.site_block import BlockCause, SiteBlock
from manager.domain.trust.site_judgement import (
    Judgement,
    PeriodFacts,
    instruments,
    judge,
    readings_differ,
)
from manager.ports import CheckedSite, SiteToCheck
from manager.storage.derivation.position_doubts import position_doubts
from manager.storage.derivation.projection import SITE, TRANSFER, store_loading
from manager.storage.derivation.registered_sites import registered_of
from manager.storage.engine import Database, take_numbers
from manager.storage.log.stated_matches import match_to_json
from manager.storage.sites import rechecks
from manager.storage.sites.block_notes import note_block
from manager.storage.sites.blocks import blocks_in_force, insert_block
from manager.storage.sites.doubted import plugged_since
from manager.storage.sites.facts import facts_of
from manager.storage.sites.fixes import last_position
from manager.storage.sites.readings import READING, insert_readings, judge_anew, newest_readings
from manager.storage.sites.settlements import news_since, settled_at

PERIOD = "PERIOD"
MOST_PERIODS = 1_000  # of one fetch
COMPARED_S = 2 * 86_400  # how far back the house's values are compared with the utility's


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPolicy:
    """How the manager concludes.

    Args:
        match: How sure one has to be.
        blocks: What follows.
        grace_s: How long a period's reading is waited for, seconds after its end.
        history_s: How far back the utility is asked for what the house usually uses, seconds.
        period_s: Length of a period, seconds.
        position_tolerance_m: How far from the registered place a cable may be.
        has_utility: There is a utility to ask.
        believed_s: How long a site that proved itself is believed against its readings, seconds.
    """

    match: MatchPolicy
    blocks: BlockPolicy
    grace_s: float
    history_s: int
    period_s: int
    position_tolerance_m: float
    has_utility: bool
    believed_s: int


class SqlSiteChecks:
    """`manager.ports.SiteChecks` on a database.

    Args:
        database: It.
        policy: How the manager concludes.
    """

    def __init__(self, database: Database, policy: CheckPolicy) -> None:
        self._database = database
        self._policy = policy

    async def due(self, *, now_s: int, limit: int) -> list[SiteToCheck]:
        """Sites to look at now: mismatches first."""

        def work(connection: Connection) -> list[SiteToCheck]:
            causes = {
                recheck.site_id: recheck.cause
                for recheck in rechecks.due(connection, now_s=now_s, limit=limit)
            }
            for site_id in self._behind(connection, now_s, limit):
                causes.setdefault(site_id, PERIOD)
            return [
                self._to_check(connection, site_id, cause, now_s)
                for site_id, cause in causes.items()
            ]

        return await self._database.read(work)

    async def learn(self, readings: Sequence[SiteReading], *, now_s: int) -> None:
        """Add readings of the utility."""
        await self._database.write(
            lambda connection: insert_readings(connection, readings, receive_s=now_s)
        )

    async def conclude(
        self, site: SiteToCheck, registered: RegisteredSite | None, *, now_s: int
    ) -> CheckedSite:
        """Judge a site by everything known, and block it when that demands it."""
        return await self._database.write(
            lambda connection: _Check(connection, self._policy, site, registered, now_s).run()
        )

    async def put_off(self, site: SiteToCheck, *, until_s: int) -> None:
        """The utility does not answer: look again later."""

        def work(connection: Connection) -> None:
            for recheck in rechecks.due(connection, now_s=until_s, limit=1000):
                if recheck.site_id == site.site_id:
                    rechecks.settle(connection, recheck, next_s=until_s)

        await self._database.write(work)

    def _behind(self, connection: Connection, now_s: int, limit: int) -> list[SiteId]:
        """Sites with transfers in periods that are over and were not judged yet."""
        settled_s = now_s - self._policy.period_s - int(self._policy.grace_s / 4)
        query = (
            sa.select(SITE.c.site_id)
            .join(TRANSFER, TRANSFER.c.site_id == SITE.c.site_id)
            .where(
                TRANSFER.c.period_start > sa.func.coalesce(SITE.c.matched_period, 0),
                TRANSFER.c.period_start <= settled_s,
            )
            .distinct()
            .limit(limit)
        )
        return [SiteId(row.site_id) for row in connection.execute(query)]

    def _to_check(
        self, connection: Connection, site_id: SiteId, cause: str, now_s: int
    ) -> SiteToCheck:
        row = connection.execute(sa.select(SITE).where(SITE.c.site_id == site_id)).first()
        fetch_from = self._fetch_from(connection, site_id, now_s)
        count = max(0, (now_s - fetch_from.start_s) // self._policy.period_s)
        return SiteToCheck(
            site_id=site_id,
            cause=cause,
            position=last_position(connection, site_id, now_s=now_s),
            fetch_from=fetch_from,
            fetch_count=min(MOST_PERIODS, count) if self._policy.has_utility else 0,
            registered=registered_of(row, now_s, moved=cause == rechecks.POSITION),
        )

    def _fetch_from(self, connection: Connection, site_id: SiteId, now_s: int) -> Period:
        last = connection.execute(
            sa.select(sa.func.max(READING.c.period_start)).where(
                READING.c.site_id == site_id, READING.c.source == ReadingSource.UTILITY.value
            )
        ).scalar()
        if last is not None:
            return Period(last, self._policy.period_s).next()
        return Period.containing(now_s - self._policy.history_s, self._policy.period_s)


class _Check:
    """The conclusion about one site, in one transaction."""

    def __init__(
        self,
        connection: Connection,
        policy: CheckPolicy,
        site: SiteToCheck,
        registered: RegisteredSite | None,
        now_s: int,
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._site = site
        self._registered = registered
        self._now_s = now_s

    def run(self) -> CheckedSite:
        row = self._row()
        if row is None:
            return CheckedSite(site_id=self._site.site_id, match=None, blocks=(), suspect=False)
        since = news_since(self._connection, self._site.site_id, believed_s=self._policy.believed_s)
        placed = self._doubt_cables(since)
        row = self._row()
        matcher = _matcher(row)
        facts = facts_of(
            self._connection,
            self._site.site_id,
            judged_s=row.matched_period if matcher else None,
            length_s=self._policy.period_s,
            grace_s=self._policy.grace_s,
            now_s=self._now_s,
        )
        judgement = self._judge(matcher, facts)
        matches = () if judgement is None else judgement.matches
        self._store(row, judgement)
        for period, match in matches:
            self._state(period, stated(match))
        last = matches[-1] if matches else None
        found = self._new_blocks(self._findings(last, since))
        blocks = (*placed, *(self._block(block) for block in found))
        self._settle()
        said = None if last is None else stated(last[1])
        return CheckedSite(
            site_id=self._site.site_id,
            match=said,
            blocks=blocks,
            suspect=said is not None and said.suspect,
            appealable=any(map(can_be_proven, self._in_force())),
        )

    def _row(self) -> Any:
        query = sa.select(SITE).where(SITE.c.site_id == self._site.site_id)
        return self._connection.execute(query.with_for_update()).first()

    def _doubt_cables(self, since: Mapping[Subject, int]) -> tuple[SiteBlock, ...]:
        """Block cables that are elsewhere; from then on their word tells nothing of this site.

        What was judged with it is judged anew, before anything is concluded from it.
        """
        site_id = self._site.site_id
        doubts = position_doubts(
            self._connection,
            self._site,
            self._registered,
            tolerance_m=self._policy.position_tolerance_m,
            now_s=self._now_s,
        )
        findings = SiteFindings(
            site_id=site_id, doubts=doubts, evidence=self._evidence(), settled_s=since
        )
        placed = []
        for block in self._new_blocks(findings):
            at_s = self._now_s if block.doubt_s is None else block.doubt_s
            doubt_s = plugged_since(self._connection, site_id, block.cable_id, at_s=at_s)
            placed.append(self._block(replace(block, doubt_s=doubt_s)))
            judged_s = Period.containing(doubt_s, self._policy.period_s).start_s
            judge_anew(self._connection, {site_id: judged_s})
        return tuple(placed)

    def _judge(self, matcher: Matcher | None, facts: list[PeriodFacts]) -> Judgement | None:
        site = matcher.site if matcher else instruments(facts, length_s=self._policy.period_s)
        if site is None or not facts:
            return None
        return judge(
            matcher=matcher,
            site=site,
            facts=facts,
            learn_before_s=self._first_transfer_s(),
            policy=self._policy.match,
            settled=settled_at(self._connection, self._site.site_id),
        )

    def _first_transfer_s(self) -> int:
        query = sa.select(sa.func.min(TRANSFER.c.period_start)).where(
            TRANSFER.c.site_id == self._site.site_id
        )
        return self._connection.execute(query).scalar() or 0

    def _store(self, row: Any, judgement: Judgement | None) -> None:
        values: dict[str, Any] = {}
        registered = self._registered
        if registered is not None:
            plain = asdict(registered) | {"assets": []}
            values |= {"registered": json.dumps(plain), "registered_s": self._now_s}
            for loading in registered.assets:
                store_loading(self._connection, loading, [self._site.site_id])
            if self._site.position is not None:
                values["distance_m"] = distance_m(registered=registered, found=self._site.position)
        if judgement is not None and judgement.last is not None:
            values |= {
                "matcher_state": json.dumps(to_plain(matcher=judgement.matcher)),
                "matched_period": judgement.last.start_s,
            }
            if judgement.matches:
                said = stated(judgement.matches[-1][1])
                values |= {
                    "last_match": match_to_json(said),
                    "last_match_period": judgement.matches[-1][0].start_s,
                    "evidence_nats": said.evidence_nats or 0.0,
                }
        if values:
            self._connection.execute(
                SITE.update().where(SITE.c.site_id == row.site_id).values(**values)
            )

    def _state(self, period: Period, match: StatedMatch) -> None:
        """Put the conclusion to the transfers of a period that were told another."""
        rows = self._connection.execute(
            sa.select(TRANSFER.c.entry_number).where(
                TRANSFER.c.site_id == self._site.site_id,
                TRANSFER.c.period_start == period.start_s,
                TRANSFER.c.manager_match.is_distinct_from(match_to_json(match)),
            )
        ).all()
        for row in rows:
            self._connection.execute(
                TRANSFER.update()
                .where(TRANSFER.c.entry_number == row.entry_number)
                .values(
                    manager_match=match_to_json(match),
                    update_number=take_numbers(self._connection, "transfer_update", 1),
                    revision=TRANSFER.c.revision + 1,
                    forward_state="NEW",
                    update_s=self._now_s,
                )
            )

    def _findings(
        self, last: tuple[Period, Match] | None, since: Mapping[Subject, int]
    ) -> SiteFindings:
        differing, compared = self._differing(since.get((BlockCause.READINGS_DIFFER, ""), 0))
        return SiteFindings(
            site_id=self._site.site_id,
            match=None if last is None else stated(last[1]),
            match_start_s=0 if last is None else last[0].start_s,
            differing=differing,
            compared=compared,
            evidence=self._evidence(),
            settled_s=since,
        )

    def _differing(self, since_s: int) -> tuple[int, int]:
        """Knowledge proof over the last periods of which the utility has told."""
        start_s = max(since_s, self._now_s - COMPARED_S)
        return readings_differ(
            newest_readings(
                self._connection,
                self._site.site_id,
                start_s=start_s,
                end_s=self._now_s,
                sources=(ReadingSource.UTILITY, ReadingSource.SMART_METER),
            )
        )

    def _evidence(self) -> tuple[str, ...]:
        query = (
            sa.select(TRANSFER.c.cable_id, TRANSFER.c.journal_epoch, TRANSFER.c.sequence)
            .where(TRANSFER.c.site_id == self._site.site_id)
            .order_by(TRANSFER.c.entry_number.desc())
            .limit(16)
        )
        return tuple(
            f"{row.cable_id}/{row.journal_epoch:x}/{row.sequence}"
            for row in self._connection.execute(query)
        )

    def _new_blocks(self, findings: SiteFindings) -> list[SiteBlock]:
        policy, now_s = self._policy.blocks, self._now_s
        return blocks_for(findings=findings, existing=self._in_force(), policy=policy, now_s=now_s)

    def _in_force(self) -> list[SiteBlock]:
        return list(blocks_in_force(self._connection, self._site.site_id))

    def _block(self, block: SiteBlock) -> SiteBlock:
        stored = insert_block(self._connection, block)
        note_block(self._connection, stored, actor="manager", now_s=self._now_s)
        return stored

    def _settle(self) -> None:
        for recheck in rechecks.due(self._connection, now_s=self._now_s, limit=1000):
            if recheck.site_id == self._site.site_id:
                rechecks.settle(self._connection, recheck, next_s=None)


def _matcher(row: Any) -> Matcher | None:
    """What is known already; None for a state of another version: all facts are still there."""
    if row.matcher_state is None:
        return None
    try:
        return from_plain(json.loads(row.matcher_state))
    except MatcherStateError:
        return None
