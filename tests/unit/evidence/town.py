"""A small town's evidence, made as cables, utility and manager make it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gridcord.evidence import ocmf
from gridcord.evidence.area_figures import area_figures
from gridcord.evidence.bundle import DERIVED, MemorySource, Scope, write_bundle
from gridcord.evidence.bundle_lines import (
    BlockLine,
    EntryLine,
    KeyLine,
    MarketLine,
    PayoutLine,
    ReadingLine,
    RuleLine,
    ShareLine,
    SiteLine,
    VerdictLine,
)
from gridcord.evidence.derivation import Derivation, by_site, gathered
from gridcord.evidence.journal_check import JournalReader
from gridcord.evidence.site_history import SiteHistory, matches, site_periods
from gridcord.metering.matching import MatchPolicy, MatchRule, MeteredSite
from gridcord.metering.reading import Permission, ReadingSource, SiteReading, Verdict
from gridcord.metering.records import CableEvent, CableEventKind, SiteObservation, TransferRecord
from gridcord.metering.verdict import StatedMatch
from gridcord.settlement.account import Account, AccountKind
from gridcord.settlement.departure import Expectation
from gridcord.settlement.facts import Fact, Payout, SiteVerdict
from gridcord.settlement.imbalance import Contract, MarketResult
from gridcord.settlement.imbalance_share import ImbalanceShare
from gridcord.settlement.ledger import KnownFact
from gridcord.settlement.statement import rounded
from gridcord.settlement.terms import SettlementRule, Terms
from gridcord.units import CableId, Money, Period, Price, SiteId
from gridcord.wire.journal import entry_to_bytes
from gridcord.wire.session import signed_bytes
from tests.unit.evidence.records import METER, START_S
from tests.unit.settlement import facts_of_a_town

FIRST = Period(START_S)
SITES = facts_of_a_town.SITES[:2]
CABLES = (CableId("cable-0"), CableId("cable-1"))
SIGNERS = {cable: ocmf.SoftwareSigner.generate() for cable in CABLES}
AGGREGATOR = ocmf.SoftwareSigner.generate()
PERIODS = 8
HOUSE_WH = 300
EARLY_S = 300  # before the end of the last period
LEFT_EARLY_WH = 125  # at 1,500 W
PATENT = MatchPolicy(rule=MatchRule.PATENT)
TERMS: Terms = facts_of_a_town.terms(SettlementRule(imbalance_percent=40))

# Wh by cable and period, + charge: the first period is idle, cable-1's house never sees it.
MOVED = {CABLES[0]: (0, -750, -740, 0, 450, 460, -700, -750), CABLES[1]: (0, -600) * 4}


class Town:
    """Writes journals, readings and verdicts in the order in which they become known."""

    def __init__(self, policy: MatchPolicy = PATENT) -> None:
        self.policy = policy
        self.lines: defaultdict[str, list[Any]] = defaultdict(list)
        self._number = 0
        self._sequence = dict.fromkeys(CABLES, 0)
        self._page = dict.fromkeys(CABLES, 0)
        self._registers = dict.fromkeys(CABLES, (10000, 5000))
        self._records: list[int] = []
        self._static()
        for place in range(PERIODS):
            self._half_hour(FIRST.next(place), place)
        self._corrections()
        self._verdicts()
        self._money()
        self.lines["entries"].sort(
            key=lambda line: (line.cable_id, line.journal_epoch, line.sequence)
        )

    def write(self, path: Path, *, signed: bool = True) -> Path:
        """Write the bundle."""
        lines = self.lines | self.derived()
        scope = Scope(
            from_s=FIRST.start_s, to_s=FIRST.next(PERIODS).start_s, everything=bool(lines["market"])
        )
        signer = AGGREGATOR if signed else None
        write_bundle(path, MemorySource(scope, lines), created_s=START_S + 86_400, signer=signer)
        return path

    def derived(self) -> dict[str, list[object]]:
        """What follows from the lines."""
        derivation = self.derivation()
        return {member: list(getattr(derivation, member)()) for member in DERIVED}

    def derivation(self) -> Derivation:
        """The facts of the lines."""
        facts = tuple(KnownFact(fact=fact, known_s=known_s) for _, known_s, fact in self._facts())
        return Derivation(facts=facts, known=gathered(facts), terms=TERMS)

    def _facts(self) -> list[tuple[int, int, Fact]]:
        keys = {str(cable): signer.public_key_der for cable, signer in SIGNERS.items()}
        reader = JournalReader(keys)
        found = [
            (line.number, line.known_s, fact)
            for line in sorted(
                self.lines["entries"], key=lambda e: (e.cable_id, e.journal_epoch, e.sequence)
            )
            for fact in reader.facts(line)
        ]
        for member, name in (
            ("readings", "reading"),
            ("verdicts", "verdict"),
            ("market", "result"),
            ("shares", "share"),
            ("payouts", "payout"),
        ):
            found += [(e.number, e.known_s, getattr(e, name)) for e in self.lines[member]]
        return sorted(found, key=lambda each: each[0])

    def _next(self) -> dict[str, Any]:
        self._number += 1
        return {"number": self._number, "known_s": START_S + 60 * self._number}

    def _static(self) -> None:
        for cable, signer in SIGNERS.items():
            self.lines["keys"].append(
                KeyLine(cable_id=cable, public_key=signer.public_key_der.hex())
            )
        self.lines["rules"].append(RuleLine(settlement=TERMS.rule, match=self.policy))
        self.lines["tariffs"] += sorted(TERMS.tariffs.versions, key=lambda each: each.name)
        self.lines["site_tariffs"] += TERMS.site_tariffs.versions
        self.lines["consents"] += TERMS.consents
        for site_id in SITES:
            line = SiteLine(terms=TERMS.sites[site_id], metered=MeteredSite())
            self.lines["sites"].append(line)

    def _half_hour(self, period: Period, place: int) -> None:
        for cable, site_id in zip(CABLES, SITES, strict=True):
            moved_wh = MOVED[cable][place]
            if moved_wh:
                self._transfer(cable, site_id, period, moved_wh, final=place == PERIODS - 1)
            seen_wh = moved_wh if cable == CABLES[0] else 0
            net_wh = HOUSE_WH + 10 * place + seen_wh
            reading = SiteReading(
                site_id=site_id,
                period=period,
                source=ReadingSource.SMART_METER,
                import_wh=max(0, net_wh),
                export_wh=max(0, -net_wh),
            )
            self._observation(cable, reading, moved_wh)

    def _transfer(
        self, cable: CableId, site_id: SiteId, period: Period, moved_wh: int, *, final: bool
    ) -> None:
        charged, discharged = self._registers[cable]
        after = charged + max(0, moved_wh), discharged + max(0, -moved_wh)
        self._page[cable] += 1
        record = ocmf.FiscalRecord(
            cable_id=cable,
            pagination=self._page[cable],
            journal_epoch=7,
            sequence_number=self._sequence[cable] + 1,
            meter=METER,
            firmware="0.1",
            transfer=TransferRecord(
                period=period,
                start_s=period.start_s,
                end_s=period.end_s - (EARLY_S if final else 0),
                site_to_vehicle_start_wh=charged,
                site_to_vehicle_end_wh=after[0],
                vehicle_to_site_start_wh=discharged,
                vehicle_to_site_end_wh=after[1],
                site_id=site_id,
                driver_id=f"driver-{cable[-1]}",
                final=final,
            ),
            utc_offset_min=540,
        )
        self._registers[cable] = after
        if cable == CABLES[0]:
            self._records.append(self._sequence[cable] + 1)
        text = ocmf.sign(ocmf.payload_text(record), SIGNERS[cable])
        self._entry(cable, ocmf=text)

    def _observation(self, cable: CableId, reading: SiteReading, moved_wh: int) -> None:
        said = StatedMatch(verdict=Verdict.INDETERMINATE, reason="EVIDENCE_THIN")
        observation = SiteObservation(
            period=reading.period,
            site_id=reading.site_id,
            readings=(reading,),
            transferred_wh=moved_wh,
            match=said,
        )
        self._signed(cable, entry_to_bytes(observation))

    def _signed(self, cable: CableId, body: bytes) -> None:
        message = signed_bytes(
            cable_id=cable, journal_epoch=7, sequence=self._sequence[cable] + 1, body=body
        )
        self._entry(cable, body=body.hex(), signature=SIGNERS[cable].sign(message).hex())

    def _entry(self, cable: CableId, **content: Any) -> None:
        self._sequence[cable] += 1
        self.lines["entries"].append(
            EntryLine(
                **self._next(),
                cable_id=cable,
                journal_epoch="7",
                sequence=self._sequence[cable],
                **content,
            )
        )

    def _corrections(self) -> None:
        """The utility confirms a reading and corrects it once; cables say goodbye."""
        for revision, import_wh in enumerate((0, 20)):
            reading = SiteReading(
                site_id=SITES[0],
                period=FIRST.next(2),
                source=ReadingSource.UTILITY,
                import_wh=import_wh,
                export_wh=420,
                revision=revision,
            )
            self.lines["readings"].append(ReadingLine(**self._next(), reading=reading))
        for cable in CABLES:
            event = CableEvent(kind=CableEventKind.UNPLUGGED, at_s=START_S + 1)
            self._signed(cable, entry_to_bytes(event))

    def judged_again(self) -> None:
        """Verdicts and blocks anew, after lines were changed; nothing later stays."""
        for member in ("verdicts", "blocks", "expectations", "market", "shares", "payouts"):
            self.lines[member].clear()
        self._verdicts()

    def _verdicts(self) -> None:
        known = by_site(self.derivation().known)
        for site_id in SITES:
            gathered_ = known[site_id]
            history = SiteHistory(
                metered=MeteredSite(), matcher="", periods=site_periods(gathered_)
            )
            for each, match in zip(history.periods, matches(history, self.policy), strict=True):
                stated = SiteVerdict(site_id=site_id, period=each.period, verdict=match.verdict)
                line = VerdictLine(
                    **self._next(), verdict=stated, finding=match.finding, reason=match.reason
                )
                self.lines["verdicts"].append(line)
        mismatched = tuple(
            line.verdict.period
            for line in self.lines["verdicts"]
            if line.verdict.verdict is Verdict.MISMATCHED and line.verdict.site_id == SITES[1]
        )
        if mismatched:
            self.lines["blocks"].append(
                BlockLine(
                    site_id=SITES[1],
                    permission=Permission.CHARGE_ONLY,
                    cause="MISMATCH",
                    start_s=START_S + 4000,
                    end_s=None,
                    actor="manager",
                    verdict_periods=mismatched,
                )
            )

    def _money(self) -> None:
        """Sold more than was given: both cables left early, one of them from a blocked site."""
        period = FIRST.next(PERIODS - 1)
        for cable in CABLES if self.lines["blocks"] else CABLES[:1]:
            self.lines["expectations"].append(
                Expectation(
                    cable_id=cable, area="tokyo", period=period, power_w=-1500, until_s=period.end_s
                )
            )
        result = MarketResult(
            area="tokyo",
            period=period,
            contracts=(
                Contract(contract_id="c-1", energy_wh=1500, price=Price.per_kwh("JPY", "12.5")),
            ),
            recorded_wh=1350,
            telemetry_wh=0,
            imbalance_price=None,
            left_early_wh=LEFT_EARLY_WH,
        )
        price = Price.per_kwh("JPY", "30.1")
        for each in (result, replaced(result, imbalance_price=price, revision=1)):
            self.lines["market"].append(MarketLine(**self._next(), result=each))
            self.lines["shares"].append(ShareLine(**self._next(), share=self._share(each)))
        self._close()

    def _share(self, result: MarketResult) -> ImbalanceShare:
        last = max(sequence for sequence in self._records)
        return ImbalanceShare(
            cable_id=CABLES[0],
            site_id=SITES[0],
            driver="driver-0",
            record=f"{CABLES[0]}/7/{last}",
            deviation_wh=-LEFT_EARLY_WH,
            figures=area_figures(result),
        )

    def _close(self) -> None:
        """What both drivers are owed is paid, whole yen."""
        owed = {each.account: each.micros for each in self.derivation().balances()}
        for name in ("driver-0", "driver-1"):
            account = Account(AccountKind.DRIVER, name)
            payout = Payout(
                account=account,
                month="2026-11",
                amount=rounded(Money("JPY", owed[str(account)])),
                before_s=FIRST.next(100).start_s,
            )
            self.lines["payouts"].append(PayoutLine(**self._next(), payout=payout))


def replaced(line: Any, **changes: Any) -> Any:
    """A line with other values."""
    return dataclasses.replace(line, **changes)


def texts(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The raw lines of each member of a bundle."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, archive.read(name).decode().splitlines()
