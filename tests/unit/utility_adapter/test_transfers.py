"""Transfers as reported, and reconciled with what the utility says it holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.units import CableId, Period, SiteId
from utility_adapter.domain.admission import Admission, admit
from utility_adapter.domain.reconciliation import Finding, reconcile
from utility_adapter.domain.transfers import (
    PeriodTransfer,
    ReportedTransfer,
    period_transfers,
)

HOME, NEXT_DOOR = SiteId("nmi:0000000001"), SiteId("nmi:0000000002")
CABLE = CableId("cable-1")
NOON = Period(1_778_846_400)
REPORT = ReportedTransfer(
    cable_id=CABLE,
    journal_epoch=7,
    sequence_number=1,
    revision=0,
    site_id=HOME,
    period=NOON,
    site_to_vehicle_wh=0,
    vehicle_to_site_wh=750,
    received_at_s=1.0,
)
SENT = PeriodTransfer(
    cable_id=CABLE, site_id=HOME, period=NOON, site_to_vehicle_wh=0, vehicle_to_site_wh=750
)

reports = st.builds(
    ReportedTransfer,
    cable_id=st.sampled_from([CABLE, CableId("cable-2")]),
    journal_epoch=st.integers(0, 1),
    sequence_number=st.integers(0, 3),
    revision=st.integers(0, 2),
    site_id=st.sampled_from([HOME, NEXT_DOOR]),
    period=st.sampled_from([NOON, NOON.next()]),
    site_to_vehicle_wh=st.integers(0, 9),
    vehicle_to_site_wh=st.integers(0, 9),
    received_at_s=st.integers(0, 9).map(float),
)


def admitted(batch: list[ReportedTransfer]) -> list[ReportedTransfer]:
    kept: list[ReportedTransfer] = []
    for report in batch:
        known = [other for other in kept if other.key == report.key]
        if admit(known=known, fact=report) not in (Admission.DUPLICATE, Admission.CONFLICT):
            kept.append(report)
    return kept


def test_saying_it_twice_changes_nothing() -> None:
    again = replace(REPORT, received_at_s=9.0)
    assert admit(known=[REPORT], fact=again) is Admission.DUPLICATE
    other = replace(REPORT, vehicle_to_site_wh=751)
    assert admit(known=[REPORT], fact=other) is Admission.CONFLICT
    assert admit(known=[REPORT], fact=replace(other, revision=1)) is Admission.CORRECTION


def test_records_of_one_period_are_summed() -> None:
    replugged = replace(REPORT, sequence_number=2, site_to_vehicle_wh=40, vehicle_to_site_wh=5)
    [transfer] = period_transfers(reports=[REPORT, replugged])
    assert (transfer.site_to_vehicle_wh, transfer.vehicle_to_site_wh) == (40, 755)
    assert (transfer.transferred_wh, transfer.revision) == (-715, 1)


def test_a_correction_replaces_and_raises_the_revision() -> None:
    corrected = replace(REPORT, revision=1, vehicle_to_site_wh=700)
    [transfer] = period_transfers(reports=[corrected, REPORT])
    assert (transfer.vehicle_to_site_wh, transfer.revision) == (700, 1)


def test_a_record_that_moves_leaves_zero_behind() -> None:
    moved = replace(REPORT, revision=1, site_id=NEXT_DOOR)
    left, arrived = period_transfers(reports=[REPORT, moved])
    assert (left.site_id, left.vehicle_to_site_wh) == (HOME, 0)
    assert (arrived.site_id, arrived.vehicle_to_site_wh) == (NEXT_DOOR, 750)


@given(st.lists(reports), st.randoms())
def test_the_order_of_arrival_does_not_matter(
    batch: list[ReportedTransfer], random: object
) -> None:
    kept = admitted(batch)
    shuffled = kept.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert period_transfers(reports=shuffled) == period_transfers(reports=kept)


@given(st.lists(reports))
def test_every_watt_hour_of_the_newest_revisions_is_told(batch: list[ReportedTransfer]) -> None:
    kept = admitted(batch)
    newest: dict[object, ReportedTransfer] = {}
    for report in sorted(kept, key=lambda report: report.revision):
        newest[report.key] = report
    told = period_transfers(reports=kept)
    assert sum(t.vehicle_to_site_wh for t in told) == sum(
        r.vehicle_to_site_wh for r in newest.values()
    )
    assert [t.key for t in told] == sorted({t.key for t in told})


@given(st.lists(reports, min_size=1))
def test_a_further_report_never_lowers_a_revision(batch: list[ReportedTransfer]) -> None:
    kept = admitted(batch)
    before = {t.key: t.revision for t in period_transfers(reports=kept[:-1])}
    after = {t.key: t.revision for t in period_transfers(reports=kept)}
    assert all(after[key] >= revision for key, revision in before.items())
    last = kept[-1]
    key = (last.site_id, last.cable_id, last.period)
    assert after[key] == before.get(key, -1) + 1


@pytest.mark.parametrize(
    "wrong", [{"site_to_vehicle_wh": -1}, {"vehicle_to_site_wh": -1}, {"revision": -1}]
)
def test_impossible_transfers_cannot_be_made(wrong: dict[str, int]) -> None:
    for transfer in (REPORT, SENT):
        with pytest.raises(ValueError, match=r"Wh|revision"):
            replace(transfer, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="step"):
        replace(SENT, step_wh=0)


class TestReconciliation:
    def test_they_hold_what_we_sent(self) -> None:
        found = reconcile(sent=[SENT], confirmed=[SENT])
        assert found.settled
        assert (found.difference_wh, found.to_send_again) == (0, ())

    def test_they_hold_an_earlier_revision(self) -> None:
        corrected = replace(SENT, vehicle_to_site_wh=700, revision=1)
        found = reconcile(sent=[corrected, SENT], confirmed=[SENT])
        [line] = found.found(Finding.OUTDATED)
        assert (line.sent, line.confirmed, line.difference_wh) == (corrected, SENT, -50)
        assert found.to_send_again == (corrected,)

    def test_they_hold_what_we_never_sent(self) -> None:
        wrong = replace(SENT, vehicle_to_site_wh=1)
        found = reconcile(sent=[SENT], confirmed=[wrong])
        [line] = found.found(Finding.DIFFERS)
        assert line.difference_wh == 749
        assert found.to_send_again == (SENT,)

    def test_they_lack_it(self) -> None:
        found = reconcile(sent=[SENT], confirmed=[])
        assert found.found(Finding.NOT_CONFIRMED)[0].difference_wh == 750
        assert (found.to_send_again, found.settled) == ((SENT,), False)

    def test_they_have_more_than_we_sent(self) -> None:
        found = reconcile(sent=[], confirmed=[SENT])
        [line] = found.found(Finding.NOT_SENT)
        assert (line.sent, line.difference_wh) == (None, -750)
        assert (found.to_send_again, found.settled) == ((), False)

    def test_a_coarse_confirmation_agrees_within_its_step(self) -> None:
        coarse = replace(SENT, vehicle_to_site_wh=700, step_wh=100)
        assert reconcile(sent=[SENT], confirmed=[coarse]).settled
        too_far = replace(coarse, vehicle_to_site_wh=600)
        assert not reconcile(sent=[SENT], confirmed=[too_far]).settled

    def test_of_two_confirmations_the_newer_counts(self) -> None:
        newer = replace(SENT, vehicle_to_site_wh=1, revision=2)
        found = reconcile(sent=[SENT], confirmed=[newer, SENT])
        assert found.lines[0].confirmed == newer

    @given(st.lists(reports))
    def test_everything_sent_and_confirmed_is_settled(self, batch: list[ReportedTransfer]) -> None:
        sent = period_transfers(reports=admitted(batch))
        assert reconcile(sent=sent, confirmed=reversed(sent)).settled
