"""The energy of an active proof passes the same registers as any other, and is paid like it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from cable_node.transfer_part import transfer_record
from gridcord.evidence.bundle_lines import VerdictLine
from gridcord.metering.matching import Finding, Reason
from gridcord.metering.proof_pattern import Plateau, ProofLimits, proof_pattern
from gridcord.metering.reading import ReadingQuality, Registers, Verdict
from gridcord.metering.records import ProofOutcome, ProofRecord, TransferRecord
from gridcord.metering.registers import period_energies
from gridcord.settlement.facts import SiteVerdict
from gridcord.settlement.tariff import TariffBook
from gridcord.settlement.terms import Terms
from manager.storage.engine import Database
from manager.storage.ledger.entries import LedgerWriter, NewFact
from manager.storage.rows import TransferRow
from manager.storage.schema import migrate
from manager.storage.sites.proofs import PROOF, SqlProofs
from tests.contract.storage.sites import FIRST, SITE, Sites, reading
from tests.unit.settlement.cases import tariff, transfer

TRANSFER: sa.Table = TransferRow.__table__  # type: ignore[attr-defined]
TERMS = Terms(tariffs=TariffBook([replace(tariff(), tariff_id="standard")]))  # 0.20 $ a kWh
BEGIN_S = 300  # of the pattern within the half hour
PATTERN = proof_pattern(seed=bytes(range(32)), limits=ProofLimits(pulse_w=-1500))


@pytest.fixture
def sites(database_url: str) -> Iterator[Sites]:
    opened = Database(database_url)
    migrate(opened)
    yield Sites(opened)
    opened.close()


def pulsed_w(second: int) -> int:
    """Out of the vehicle while the pattern runs, W."""
    for plateau in PATTERN:
        if plateau.start_s <= second - BEGIN_S < plateau.end_s:
            return -plateau.power_w
    return 0


def measured(power_w: Callable[[int], int]) -> TransferRecord:
    """What a cable records of a half hour of discharge, its meter read every second."""
    counted_ws, samples = 0, []
    for second in range(FIRST.length_s + 1):
        samples.append(
            Registers(
                at_s=FIRST.start_s + second, import_wh=10_000, export_wh=5_000 + counted_ws // 3600
            )
        )
        counted_ws += power_w(second)
    (part,) = period_energies(samples=samples, length_s=FIRST.length_s)
    return replace(transfer_record(part, final=False), site_id=SITE, driver_id="driver-80")


def proven(sites: Sites, pattern: tuple[Plateau, ...], body: TransferRecord) -> None:
    """A proof is asked for; its cable records the half hour, then what came of the proof."""
    asked = SqlProofs(sites.database).asked(
        "proof",
        site_id=SITE,
        cable_id="cable-1",
        pattern=pattern,
        reason="suspect",
        actor="manager",
        now_s=FIRST.start_s,
        expire_s=FIRST.end_s,
    )
    asyncio.run(asked)
    sites.write(body, now_s=FIRST.end_s + 2)
    answer = ProofRecord(
        proof_id="proof",
        site_id=SITE,
        outcome=ProofOutcome.ACCEPTED,
        evidence_nats=16.0,
        gain=1.0,
    )
    sites.write(answer, now_s=FIRST.end_s + 3)


def earned_micros(database: Database, body: TransferRecord) -> int:
    """What the ledger owes the driver of a record once its half hour is read and matched."""
    moved = NewFact(content=transfer(body, cable="cable-1"), entry_number=1)
    stated = SiteVerdict(site_id=SITE, period=FIRST, verdict=Verdict.MATCHED, revision=0)
    line = VerdictLine(
        number=0, known_s=0, verdict=stated, finding=Finding.MATCH, reason=Reason.BALANCE_HOLDS
    )
    read = reading(0, 400)  # what the house used, less what the vehicle gave
    facts = [moved, NewFact(content=read), NewFact(content=line)]
    database.write_now(lambda c: LedgerWriter(c, TERMS, now_s=FIRST.end_s).add(facts))
    query = "SELECT SUM(micros) FROM ledger_posting WHERE account = 'DRIVER:driver-80'"
    return int(database.read_now(lambda c: c.exec_driver_sql(query).scalar()) or 0)


def test_a_proof_is_recorded_and_paid_like_any_other_discharge(sites: Sites) -> None:
    body = measured(pulsed_w)
    pulses_ws = sum((p.end_s - p.start_s) * -p.power_w for p in PATTERN)
    assert body.vehicle_to_site_wh == pytest.approx(
        pulses_ws / 3600, abs=1 + len(PATTERN) * 1500 / 3600
    )
    assert body.vehicle_to_site_wh > 50
    steady_ws = body.vehicle_to_site_wh * 3600 // FIRST.length_s + 1
    assert measured(lambda _: steady_ws) == body  # nothing in it tells a proof from a discharge

    proven(sites, tuple(PATTERN), body)
    (row,) = sites.database.read_now(lambda c: c.execute(sa.select(TRANSFER)).all())
    assert (row.vehicle_to_site_start_wh, row.vehicle_to_site_end_wh) == (
        5_000,
        5_000 + body.vehicle_to_site_wh,
    )
    assert (row.driver_id, row.quality) == ("driver-80", ReadingQuality.COMPLETE.value)
    (proof,) = sites.database.read_now(lambda c: c.execute(sa.select(PROOF)).all())
    assert proof.outcome == ProofOutcome.ACCEPTED.value

    assert earned_micros(sites.database, body) == 1_000_000 + 200 * body.vehicle_to_site_wh
