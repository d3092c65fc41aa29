"""What a bundle of evidence holds, from a manager's database.

A bundle is about whole sites, from the first period anybody knows of; where a later begin is
wanted, it takes over what the sites' matchers knew before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.evidence.bundle_archive import Scope
from gridcord.evidence.bundle_lines import (
    BalanceLine,
    BlockLine,
    EarningLine,
    EntryLine,
    KeyLine,
    LedgerLine,
    MarketLine,
    PayoutLine,
    ReadingLine,
    RuleLine,
    RulingLine,
    ShareLine,
    SiteLine,
    VerdictLine,
)
from gridcord.evidence.derivation import Derivation, by_site, gathered
from gridcord.evidence.site_history import SiteHistory, matcher_after, site_periods
from gridcord.metering import matcher_state
from gridcord.metering.matching import MatchPolicy, MeteredSite
from gridcord.metering.reading import Permission, SiteReading, Verdict
from gridcord.metering.records import (
    CableEvent,
    JournalEntry,
    ProofRecord,
    SiteObservation,
    TransferRecord,
)
from gridcord.settlement.account import Account
from gridcord.settlement.departure import Expectation
from gridcord.settlement.facts import Gathering, Payout, subjects
from gridcord.settlement.imbalance import MarketResult
from gridcord.settlement.imbalance_share import ImbalanceShare
from gridcord.settlement.terms import Terms
from gridcord.units import Period, epoch_text, parse_epoch
from gridcord.wire.journal import entry_from_bytes
from gridcord.wire.values import WireError
from manager.storage.ledger.bundle_money import expectations_behind, payouts_of
from manager.storage.ledger.bundle_scope import Wanted, bundle_scope
from manager.storage.ledger.entries import FACT, LEDGER, StoredFact, facts_of, ledger_lines
from manager.storage.ledger.withholdings import ended_sessions
from manager.storage.log.journals import ENTRY
from manager.storage.rows import CableRow, SiteBlockRow, SiteRow, TransferRow
from manager.storage.sites.settlements import settled_at

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
CABLE: sa.Table = CableRow.__table__  # type: ignore[attr-defined]
SITE: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]
BLOCK: sa.Table = SiteBlockRow.__table__  # type: ignore[attr-defined]


class LedgerBundle:
    """`gridcord.evidence.bundle.BundleSource` over one snapshot of a manager's database.

    Args:
        connection: Of the snapshot.
        terms: What the ledger goes by.
        policy: How verdicts were reached.
        wanted: What it is about.

    Raises:
        NothingThere: No record of that site or driver, or none in that time.
        NotJudged: A site has not been judged yet, or not up to where it is wanted.
    """

    def __init__(
        self, connection: Connection, *, terms: Terms, policy: MatchPolicy, wanted: Wanted
    ) -> None:
        self._connection = connection
        self._terms = terms
        self._policy = policy
        self._bounds = bundle_scope(connection, wanted)
        self._sites, self._to_s = self._bounds.site_ids, self._bounds.to_s
        first = sa.select(sa.func.min(FACT.c.period_start)).where(self._bounds.facts())
        self.scope = Scope(
            site_ids=tuple(sorted(self._sites)),
            driver_ids=(wanted.driver_id,) if wanted.driver_id else (),
            from_s=int(connection.execute(first).scalar() or 0),
            to_s=self._to_s,
            everything=self._bounds.everything,
        )

    def lines(self, member: str) -> Iterable[object]:
        """The lines of a member."""
        made: dict[str, Callable[[], Iterable[object]]] = {
            "keys": self._keys,
            "rules": self._rules,
            "sites": self._site_lines,
            "tariffs": self._tariffs,
            "site_tariffs": self._site_tariffs,
            "consents": self._consents,
            "entries": self._entries,
            "readings": self._readings,
            "verdicts": self._verdicts,
            "rulings": self._rulings,
            "blocks": self._blocks,
            "expectations": lambda: self._expectations,
            "market": self._market,
            "shares": self._shares,
            "payouts": self._payouts,
            "earnings": self._earnings,
            "fees": self._derivation.fees,
            "bills": self._derivation.bills,
            "ledger": lambda: self._ledger_lines,
            "balances": self._balances,
        }
        return made[member]() if member in made else ()

    @cached_property
    def _site_rows(self) -> list[Any]:
        query = sa.select(SITE).where(SITE.c.site_id.in_(self._sites)).order_by(SITE.c.site_id)
        return list(self._connection.execute(query))

    @cached_property
    def _facts(self) -> list[StoredFact]:
        """In the order of knowing; payouts that follow from the others among them."""
        facts = list(facts_of(self._connection, self._bounds.facts()))
        about = {str(subject) for each in facts for subject in subjects(each.known.fact)}
        paid = payouts_of(self._connection, about) if self._bounds.before_s is None else []
        return sorted((*facts, *paid), key=lambda each: (each.number, each.part))

    @cached_property
    def _expectations(self) -> list[Expectation]:
        return expectations_behind(self._connection, self._facts)

    @cached_property
    def _derivation(self) -> Derivation:
        facts = tuple(each.known for each in self._facts)
        return Derivation(facts=facts, known=gathered(facts), terms=self._scoped_terms)

    @cached_property
    def _scoped_terms(self) -> Terms:
        consents = tuple(each for each in self._terms.consents if each.site_id in self._sites)
        return replace(self._terms, consents=consents)

    @cached_property
    def _ledger_lines(self) -> list[LedgerLine]:
        known = {str(each) for each in self._derivation.known}
        payout = LEDGER.c.subject.startswith("payout:")
        lines = ledger_lines(self._connection, (LEDGER.c.period_start < self._to_s) | payout)
        return [line for line in lines if line.subject in known]

    @cached_property
    def _entry_rows(self) -> list[Any]:
        """The journals from the first entry that matters to the last."""
        numbers = {each.entry_number for each in self._facts if each.entry_number is not None}
        query = sa.select(ENTRY.c.cable_id, ENTRY.c.journal_epoch, ENTRY.c.sequence)
        spans: dict[tuple[str, int], tuple[int, int]] = {}
        for number in sorted(numbers):
            row = self._connection.execute(query.where(ENTRY.c.entry_number == number)).one()
            first, last = spans.get((row[0], row[1]), (row[2], row[2]))
            spans[row[0], row[1]] = min(first, row[2]), max(last, row[2])
        rows: list[Any] = []
        for (cable_id, epoch), (first, last) in sorted(spans.items()):
            journal = (
                sa.select(ENTRY)
                .where(ENTRY.c.cable_id == cable_id, ENTRY.c.journal_epoch == epoch)
                .where(ENTRY.c.sequence >= first, ENTRY.c.sequence <= last)
                .order_by(ENTRY.c.sequence)
            )
            rows += self._connection.execute(journal)
        return rows

    def _keys(self) -> Iterator[KeyLine]:
        cables = {row.cable_id for row in self._entry_rows}
        query = sa.select(CABLE).where(CABLE.c.cable_id.in_(cables)).order_by(CABLE.c.cable_id)
        for row in self._connection.execute(query):
            yield KeyLine(cable_id=row.cable_id, public_key=bytes(row.signing_key).hex())

    def _rules(self) -> Iterator[RuleLine]:
        yield RuleLine(settlement=self._terms.rule, match=self._policy)

    def _site_lines(self) -> Iterator[SiteLine]:
        for row in self._site_rows:
            if row.matcher_state is not None:
                metered = matcher_state.from_plain(json.loads(row.matcher_state)).site
                yield SiteLine(
                    terms=self._terms.site(row.site_id),
                    metered=metered,
                    matcher=self._matcher_before(row.site_id, metered),
                )

    def _matcher_before(self, site_id: str, metered: MeteredSite) -> str:
        """What the site's matcher knew before the bundle begins; empty for nothing."""
        if site_id not in self._bounds.seen_before:
            return ""
        first = min(by_site(self._derivation.known).get(site_id, {}), default=None)
        if first is None:
            return ""
        earlier = FACT.c.period_start < first.start_s
        facts = facts_of(self._connection, FACT.c.site_id == site_id, earlier)
        known = by_site(gathered(each.known for each in facts)).get(site_id, {})
        # The history must end where the bundle begins, also where nothing is known of the last.
        known.setdefault(Period(first.start_s - first.length_s, first.length_s), Gathering())
        history = SiteHistory(
            metered=metered,
            matcher="",
            periods=site_periods(known),
            rulings=tuple(self._rulings_of(site_id)),
        )
        return matcher_after(history, self._policy)

    def _tariffs(self) -> Iterable[object]:
        return sorted(self._terms.tariffs.versions, key=lambda each: each.name)

    def _site_tariffs(self) -> Iterable[object]:
        return sorted(self._terms.site_tariffs.versions, key=lambda each: each.name)

    def _consents(self) -> Iterable[object]:
        return sorted(self._scoped_terms.consents, key=lambda each: each.consent_id)

    def _entries(self) -> Iterator[EntryLine]:
        shown = {each.entry_number: each for each in reversed(self._facts)}
        before: Any = None
        for row in self._entry_rows:
            same = before is not None and (before.cable_id, before.journal_epoch) == (
                row.cable_id,
                row.journal_epoch,
            )
            lost = same and before.sequence != row.sequence - 1
            line = _entry_line(row, shown.get(row.entry_number), self._sites)
            yield replace(line, previous=before.sequence) if lost else line
            before = row

    def _readings(self) -> Iterator[ReadingLine]:
        for each in self._facts:
            if isinstance(each.content, SiteReading) and each.entry_number is None:
                yield ReadingLine(number=each.number, known_s=each.known_s, reading=each.content)

    def _verdicts(self) -> Iterator[VerdictLine]:
        for each in self._facts:
            if isinstance(each.content, VerdictLine):
                yield replace(each.content, number=each.number, known_s=each.known_s)

    def _rulings(self) -> Iterator[RulingLine]:
        for site_id in sorted(self._sites):
            yield from self._rulings_of(site_id)

    def _rulings_of(self, site_id: str) -> Iterator[RulingLine]:
        for each in settled_at(self._connection, site_id):
            if each.at_s < self._to_s:
                yield RulingLine(
                    site_id=site_id, at_s=each.at_s, accepted=each.accepted, nats=each.nats
                )

    def _blocks(self) -> Iterator[BlockLine]:
        mismatched = [
            each.verdict for each in self._verdicts() if each.verdict.verdict is Verdict.MISMATCHED
        ]
        query = sa.select(BLOCK).where(BLOCK.c.site_id.in_(self._sites))
        for row in self._connection.execute(query.order_by(BLOCK.c.block_number)):
            by_meter = row.cause == "METER_MISMATCH"
            periods = {
                each.period
                for each in mismatched
                if by_meter and each.site_id == row.site_id and each.period.end_s <= row.create_s
            }
            yield BlockLine(
                site_id=row.site_id,
                cable_id=row.cable_id,
                permission=Permission(row.permission),
                cause=row.cause,
                start_s=row.create_s,
                end_s=row.lift_s if row.lift_s is not None else row.expire_s,
                actor=row.created_by,
                verdict_periods=tuple(sorted(periods)),
            )
        yield from ended_sessions(self._connection, self._expectations)

    def _market(self) -> Iterator[MarketLine]:
        for each in self._facts:
            if isinstance(each.content, MarketResult):
                yield MarketLine(number=each.number, known_s=each.known_s, result=each.content)

    def _shares(self) -> Iterator[ShareLine]:
        for each in self._facts:
            if isinstance(each.content, ImbalanceShare):
                yield ShareLine(number=each.number, known_s=each.known_s, share=each.content)

    def _payouts(self) -> Iterator[PayoutLine]:
        for each in self._facts:
            if isinstance(each.content, Payout):
                yield PayoutLine(number=each.number, known_s=each.known_s, payout=each.content)

    def _earnings(self) -> Iterator[EarningLine]:
        """What drivers were told; the rest of the line names what it is about."""
        for line in self._derivation.earnings():
            cable_id, epoch, sequence = line.record.split("/")
            told = self._connection.execute(
                sa.select(TRANSFER).where(
                    TRANSFER.c.cable_id == cable_id,
                    TRANSFER.c.journal_epoch == parse_epoch(epoch),
                    TRANSFER.c.sequence == int(sequence),
                )
            ).one()
            yield replace(
                line,
                currency=told.currency,
                availability_micros=told.availability_micros,
                energy_micros=told.energy_micros,
                tariff=told.tariff_version,
            )

    def _balances(self) -> Iterator[BalanceLine]:
        sums: dict[tuple[str, str], int] = {}
        for line in self._ledger_lines:
            for each in line.postings:
                name = each.account, each.currency
                sums[name] = sums.get(name, 0) + each.micros
        by_account = sorted(sums.items(), key=lambda each: (Account.parse(each[0][0]), each[0][1]))
        for (account, currency), micros in by_account:
            if micros:
                yield BalanceLine(account=account, currency=currency, micros=micros)


def _entry_line(row: Any, shown: StoredFact | None, site_ids: Collection[str]) -> EntryLine:
    """An entry; one that is nobody's business here is given by its digest."""
    line = EntryLine(
        number=0 if shown is None else shown.number,
        known_s=row.receive_s if shown is None else shown.known_s,
        cable_id=row.cable_id,
        journal_epoch=epoch_text(row.journal_epoch),
        sequence=row.sequence,
    )
    body = bytes(row.body)
    content = _content(body)
    if shown is None and not _without_money(content, site_ids):
        return replace(line, digest=hashlib.sha256(body).hexdigest())
    if isinstance(content, TransferRecord):
        return replace(line, ocmf=content.fiscal_record)
    return replace(line, body=body.hex(), signature=bytes(row.signature).hex())


def _content(body: bytes) -> JournalEntry | None:
    """What an entry says; None for what only a later version can read."""
    try:
        return entry_from_bytes(body)
    except WireError:
        return None


def _without_money(content: JournalEntry | None, site_ids: Collection[str]) -> bool:
    """Whether an entry tells of the bundle's sites, or of none, and nothing follows from it."""
    match content:
        case SiteObservation():
            return content.site_id in site_ids and not content.readings
        case CableEvent() | ProofRecord():
            return not content.site_id or content.site_id in site_ids
        case _:
            return False
