"""Verifies a bundle without a server: believes nothing, derives everything again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gridcord.evidence.bundle_archive import BundleFault, BundleReader
from gridcord.evidence.bundle_lines import (
    INPUTS,
    MEMBERS,
    BalanceLine,
    EntryLine,
    KeyLine,
    MarketLine,
    PayoutLine,
    ReadingLine,
    RuleLine,
    ShareLine,
    VerdictLine,
)
from gridcord.evidence.bundle_report import NO_TRUST, Report, Trust
from gridcord.evidence.derivation import Derivation, by_site, gathered
from gridcord.evidence.journal_check import JournalFault, JournalReader
from gridcord.evidence.line_name import line_name
from gridcord.evidence.market_check import MarketTrust, NumberedTransfer, check_market
from gridcord.evidence.payout_check import check_payouts
from gridcord.evidence.plain import PlainError, read, write
from gridcord.evidence.site_history import matches
from gridcord.evidence.verdict_check import MatchFunction, check_blocks, check_verdicts
from gridcord.settlement.consent import Consent
from gridcord.settlement.facts import Equivocation, Fact
from gridcord.settlement.ledger import KnownFact
from gridcord.settlement.tariff import NoTariff, SiteTariff, Tariff, TariffBook
from gridcord.settlement.terms import Terms
from gridcord.settlement.transfer import Transfer
from gridcord.units import Period

Inputs = Mapping[str, list[tuple[int, Any]]]
Line = TypeVar("Line")
Kind = TypeVar("Kind", Tariff, SiteTariff)


def verify(path: Path, *, match: MatchFunction = matches, trust: Trust = NO_TRUST) -> Report:
    """Verify a bundle.

    Every line of every member is checked against its chain; every signature; then verdicts,
    earnings, fees, bills, ledger and balances are derived again and compared to the last micro.

    Args:
        path: The file.
        match: Derives the findings of a site.
        trust: What is known from elsewhere.

    Raises:
        OSError: The file cannot be read.
    """
    verification = _Verification(match, trust)
    try:
        verification.run(path)
    except BundleFault as problem:
        return verification.report(problem)
    return verification.report(None)


class _Numbered(NamedTuple):
    """A fact with its place in the order of knowing, and in the bundle."""

    number: int
    known_s: int
    fact: Fact
    member: str
    line: int


class _Verification:
    """One run over one bundle."""

    def __init__(self, match: MatchFunction, trust: Trust) -> None:
        self._match, self._trust = match, trust
        self._lines: dict[str, int] = {}
        self._journals = JournalReader({})
        self._facts: list[_Numbered] = []
        self._balances: tuple[BalanceLine, ...] = ()
        self._taken_over: tuple[str, ...] = ()
        self._rulings: tuple[str, ...] = ()
        self._market = MarketTrust()
        self._unproven: tuple[str, ...] = ()
        self._root = self._signer = ""
        self._partial = False

    def run(self, path: Path) -> None:
        self._reader = BundleReader(path, MEMBERS)
        try:
            self._check_trust()
            self._check_chains()
            inputs: Inputs = {
                member: self._decoded(member, kind) for member, kind in INPUTS.items()
            }
            self._check_inputs(inputs)
        finally:
            self._reader.close()

    def report(self, problem: BundleFault | None) -> Report:
        journals = self._journals
        return Report(
            problem=problem,
            root=self._root,
            signer=self._signer,
            lines=self._lines,
            signed_entries=journals.signed,
            withheld=journals.withheld,
            quarantined=tuple(journals.quarantined),
            gaps=tuple(journals.gaps),
            taken_over=self._taken_over,
            rulings=self._rulings,
            partial=self._partial,
            hidden_results=self._market.hidden,
            telemetry_results=self._market.by_telemetry,
            unproven_payouts=self._unproven,
            breaks=tuple(journals.breaks),
            balances=self._balances,
        )

    def _check_trust(self) -> None:
        manifest, trust = self._reader.manifest, self._trust
        self._root, self._signer = manifest.root, manifest.public_key
        self._partial = not manifest.scope.everything
        if trust.root and trust.root != manifest.root:
            raise BundleFault("manifest", 0, f"its root is {manifest.root}, not the one announced")
        if trust.signer_key and trust.signer_key.hex() != manifest.public_key:
            raise BundleFault("manifest", 0, "it is not signed by the aggregator's key")

    def _check_chains(self) -> None:
        for member in MEMBERS:
            for _ in self._reader.lines(member):
                pass

    def _decoded(self, member: str, kind: type[Line]) -> list[tuple[int, Line]]:
        found = []
        for number, text in self._reader.lines(member):
            try:
                found.append((number, read(kind, text)))
            except PlainError as failure:
                raise BundleFault(member, number, str(failure), line_name(text)) from None
            self._lines[member] = number
        return found

    def _check_inputs(self, inputs: Inputs) -> None:
        rule = _rule(inputs["rules"])
        terms = _terms(inputs, rule)
        self._taken_over = tuple(s.terms.site_id for _, s in inputs["sites"] if s.matcher)
        self._rulings = tuple(f"{r.site_id}@{Period(r.at_s, 1)}" for _, r in inputs["rulings"])
        self._read_journals(inputs["keys"], inputs["entries"])
        self._read_facts(inputs)
        facts = self._in_order()
        try:
            derivation = Derivation(facts=facts, known=gathered(facts), terms=terms)
        except Equivocation as failure:
            raise BundleFault("entries", 0, str(failure)) from None
        check_verdicts(
            sites=inputs["sites"],
            verdicts=inputs["verdicts"],
            rulings=inputs["rulings"],
            known=by_site(derivation.known),
            match=self._match,
            policy=rule.match,
        )
        check_blocks(inputs["blocks"], inputs["verdicts"])
        self._market = check_market(
            transfers=self._transfers(),
            expectations=inputs["expectations"],
            withheld=[block.withholding for _, block in inputs["blocks"]],
            results=inputs["market"],
            shares=inputs["shares"],
        )
        self._check_money(derivation, inputs["payouts"])

    def _read_journals(
        self, keys: list[tuple[int, KeyLine]], entries: list[tuple[int, EntryLine]]
    ) -> None:
        self._journals = JournalReader(self._known_keys(keys))
        for number, line in entries:
            try:
                for fact in self._journals.facts(line):
                    place = _Numbered(line.number, line.known_s, fact, "entries", number)
                    self._facts.append(place)
            except JournalFault as failure:
                raise BundleFault("entries", number, str(failure), line.name) from None

    def _known_keys(self, keys: list[tuple[int, KeyLine]]) -> dict[str, bytes]:
        known: dict[str, bytes] = {}
        for number, line in keys:
            try:
                key = bytes.fromhex(line.public_key)
            except ValueError:
                raise BundleFault("keys", number, "no hexadecimal key", line.cable_id) from None
            if line.cable_id in known:
                raise BundleFault("keys", number, "a second key of one cable", line.cable_id)
            if self._trust.cable_keys.get(line.cable_id, key) != key:
                raise BundleFault("keys", number, "not the key that was enrolled", line.cable_id)
            known[line.cable_id] = key
        return known

    def _read_facts(self, inputs: Inputs) -> None:
        for member in ("readings", "verdicts", "market", "shares", "payouts"):
            for number, line in inputs[member]:
                place = _Numbered(line.number, line.known_s, _fact(line), member, number)
                self._facts.append(place)

    def _transfers(self) -> Iterator[NumberedTransfer]:
        for each in self._facts:
            if isinstance(each.fact, Transfer):
                yield NumberedTransfer(each.number, each.fact)

    def _in_order(self) -> tuple[KnownFact, ...]:
        """Facts as they became known; entries with several readings share their number."""
        ordered = sorted(self._facts, key=lambda each: (each.number, each.member, each.line))
        for before, after in pairwise(ordered):
            same = (before.member, before.line) == (after.member, after.line)
            if before.number == after.number and not same:
                reason = f"number {after.number} is also that of {before.member} {before.line}"
                raise BundleFault(after.member, after.line, reason)
            if after.known_s < before.known_s:
                reason = f"known before {before.member} line {before.line}, but numbered after it"
                raise BundleFault(after.member, after.line, reason)
        return tuple(KnownFact(fact=each.fact, known_s=each.known_s) for each in ordered)

    def _check_money(self, derivation: Derivation, payouts: list[tuple[int, PayoutLine]]) -> None:
        """Half hours first, then what was paid of them: the cause is named before what follows."""
        self._compare("earnings", derivation.earnings())
        self._compare("fees", derivation.fees())
        self._compare("bills", derivation.bills())
        with _terms_hold("ledger"):
            self._unproven = check_payouts(payouts, derivation.entries)
        self._compare("ledger", derivation.ledger())
        self._compare("balances", derivation.balances())
        self._balances = tuple(derivation.balances())

    def _compare(self, member: str, lines: Iterable[object]) -> None:
        for number, pair in enumerate(
            zip_longest(self._reader.lines(member), _written(member, lines)), 1
        ):
            stated = None if pair[0] is None else pair[0][1]
            if stated != pair[1]:
                right = pair[1] or "nothing"
                reason = f"does not follow from the inputs; derived is {right}"
                raise BundleFault(member, number, reason, line_name(stated or right))
            self._lines[member] = number


def _written(member: str, lines: Iterable[object]) -> Iterator[str]:
    with _terms_hold(member):
        yield from map(write, lines)


@contextmanager
def _terms_hold(member: str) -> Iterator[None]:
    """Turn a half hour for which no tariff holds into a BundleFault."""
    try:
        yield
    except NoTariff as failure:
        raise BundleFault(member, 0, str(failure)) from None


def _fact(line: ReadingLine | VerdictLine | MarketLine | ShareLine | PayoutLine) -> Fact:
    match line:
        case ReadingLine():
            return line.reading
        case VerdictLine():
            return line.verdict
        case MarketLine():
            return line.result
        case ShareLine():
            return line.share
        case PayoutLine():
            return line.payout


def _rule(lines: list[tuple[int, RuleLine]]) -> RuleLine:
    if len(lines) != 1:
        raise BundleFault("rules", len(lines), "there must be exactly one line")
    return lines[0][1]


def _terms(inputs: Inputs, rule: RuleLine) -> Terms:
    sites: dict[str, Any] = {}
    for number, line in inputs["sites"]:
        if line.terms.site_id in sites:
            raise BundleFault("sites", number, "a second line of one site", line.terms.site_id)
        sites[line.terms.site_id] = line.terms
    consents: list[Consent] = [line for _, line in inputs["consents"]]
    if len({each.consent_id for each in consents}) != len(consents):
        raise BundleFault("consents", 0, "two consents of one name")
    return Terms(
        tariffs=_book("tariffs", inputs["tariffs"]),
        site_tariffs=_book("site_tariffs", inputs["site_tariffs"]),
        consents=tuple(consents),
        sites=sites,
        rule=rule.settlement,
    )


def _book(member: str, lines: list[tuple[int, Kind]]) -> TariffBook[Kind]:
    try:
        return TariffBook([line for _, line in lines])
    except ValueError as failure:
        raise BundleFault(member, 0, str(failure)) from None
