"""Each invariant finds what it is there to find, and nothing where nothing is."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

from tests.system.invariants import (
    AuditLine,
    CableHistory,
    DischargeGrant,
    DischargeSample,
    LedgerLine,
    LostEntries,
    RegisterSpan,
    SiteBlock,
    StoredCursor,
    StoredEntry,
    Violation,
    i1_acked_is_committed,
    i2_no_key_twice,
    i3_gapless,
    i4_bytes_are_the_cables,
    i5_cable_is_the_certificates,
    i6_derived_is_the_fold,
    i7_registers_are_a_chain,
    i8_meter_explains_what_is_paid,
    i9_one_availability_payment,
    i10_ledger_balances_and_only_grows,
    i11_discharge_only_by_grant,
    i12_fences_only_rise,
    i13_audit_is_a_chain,
    i14_everything_arrived,
)


def entry(sequence: int, *, fence: int = 1, epoch: int = 7) -> StoredEntry:
    return StoredEntry(
        cable_id="c1",
        journal_epoch=epoch,
        sequence=sequence,
        body=b"%d" % sequence,
        fence=fence,
        certificate_id="c1",
    )


ENTRIES = [entry(1), entry(2, fence=2), entry(3, fence=2)]
CURSORS = [StoredCursor(cable_id="c1", journal_epoch=7, committed_sequence=3)]
HISTORY = CableHistory(
    cable_id="c1",
    journal_epoch=7,
    produced={1: b"1", 2: b"2", 3: b"3"},
    acked=[1, 1, 3],
    fences=[1, 2],
)


def named(violations: list[Violation]) -> list[str]:
    return [violation.invariant for violation in violations]


def test_a_healthy_store_has_no_violations() -> None:
    assert not [
        *i1_acked_is_committed([HISTORY], CURSORS),
        *i2_no_key_twice(ENTRIES),
        *i3_gapless(ENTRIES, CURSORS),
        *i4_bytes_are_the_cables(ENTRIES, [HISTORY]),
        *i5_cable_is_the_certificates(ENTRIES),
        *i12_fences_only_rise([HISTORY], ENTRIES),
        *i14_everything_arrived([HISTORY], ENTRIES),
    ]


def test_i1_a_confirmation_without_a_commit() -> None:
    behind = [replace(CURSORS[0], committed_sequence=2)]

    assert named(i1_acked_is_committed([HISTORY], behind)) == ["I1"]
    assert named(i1_acked_is_committed([HISTORY], [])) == ["I1"]


def test_i2_a_key_twice() -> None:
    assert named(i2_no_key_twice([*ENTRIES, entry(2)])) == ["I2"]
    assert not i2_no_key_twice([*ENTRIES, entry(2, epoch=8)])


def test_i3_a_hole_an_entry_beyond_the_cursor_and_a_declared_gap() -> None:
    assert named(i3_gapless([ENTRIES[0], ENTRIES[2]], CURSORS)) == ["I3"]
    assert named(i3_gapless([*ENTRIES, entry(4)], CURSORS)) == ["I3"]
    assert named(i3_gapless(ENTRIES, [])) == ["I3"]
    assert named(i3_gapless([], CURSORS)) == ["I3"]
    gap = LostEntries(cable_id="c1", journal_epoch=7, first=1, last=2)
    assert not i3_gapless([ENTRIES[2]], CURSORS, [gap])


def test_i4_other_bytes_and_bytes_of_nobody() -> None:
    forged = replace(ENTRIES[1], body=b"forged")
    foreign = replace(ENTRIES[1], cable_id="c2")

    assert named(i4_bytes_are_the_cables([forged, foreign], [HISTORY])) == ["I4", "I4"]


def test_i5_an_entry_by_another_certificate() -> None:
    assert named(i5_cable_is_the_certificates([replace(ENTRIES[0], certificate_id="c9")])) == ["I5"]


def test_i6_rows_that_are_missing_superfluous_or_wrong() -> None:
    assert not i6_derived_is_the_fold("earning", {"a": 1}, {"a": 1})
    found = i6_derived_is_the_fold("earning", {"a": 1, "b": 2}, {"a": 5, "c": 3})
    assert len(found) == 3


def span(sequence: int, start_wh: int, end_wh: int) -> RegisterSpan:
    return RegisterSpan(
        cable_id="c1", sequence=sequence, start_wh=(start_wh, 0), end_wh=(end_wh, 0)
    )


def test_i7_a_broken_chain_a_gap_row_and_a_register_that_falls() -> None:
    chain = [span(5, 30, 30), span(1, 0, 10), span(3, 10, 30)]

    assert not i7_registers_are_a_chain(chain)
    assert named(i7_registers_are_a_chain([*chain, span(6, 31, 40)])) == ["I7"]
    assert not i7_registers_are_a_chain([*chain, span(6, 31, 40)], [("c1", 6)])
    assert named(i7_registers_are_a_chain([span(1, 10, 9)])) == ["I7"]


def test_i8_two_cables_cannot_be_paid_for_one_meter() -> None:
    paid = {("s1", 0, "c1"): 700, ("s1", 0, "c2"): 700}

    assert not i8_meter_explains_what_is_paid(paid, {("s1", 0): 1_400})
    assert named(i8_meter_explains_what_is_paid(paid, {("s1", 0): 750})) == ["I8"]
    assert named(i8_meter_explains_what_is_paid(paid, {("s1", 1_800): 5_000})) == ["I8"]
    assert not i8_meter_explains_what_is_paid(paid, {("s1", 0): 750}, [("s1", 0)])


def test_i9_replugging_is_not_paid_twice() -> None:
    assert not i9_one_availability_payment([("c1", 0), ("c1", 1_800), ("c2", 0)])
    assert named(i9_one_availability_payment([("c1", 0), ("c1", 0)])) == ["I9"]


def line(number: int, amount_micros: int, currency: str = "JPY") -> LedgerLine:
    return LedgerLine(
        line_id=number,
        transaction_id="t",
        account="driver",
        currency=currency,
        amount_micros=amount_micros,
    )


def test_i10_bookings_that_do_not_balance_or_were_changed() -> None:
    ledger = [line(1, 5), line(2, -5)]

    assert not i10_ledger_balances_and_only_grows([*ledger, line(3, 0)], ledger)
    assert named(i10_ledger_balances_and_only_grows([line(1, 5)])) == ["I10"]
    assert len(i10_ledger_balances_and_only_grows([line(1, 5), line(2, -5, "USD")])) == 2
    assert named(i10_ledger_balances_and_only_grows([line(1, 6), line(2, -6)], ledger)) == [
        "I10",
        "I10",
    ]
    assert named(i10_ledger_balances_and_only_grows([], ledger)) == ["I10", "I10"]


def test_i11_grants_at_blocked_sites_and_discharge_without_a_grant() -> None:
    grant = DischargeGrant(cable_id="c1", site_id="s1", granted_s=100.0, expire_s=190.0)
    block = SiteBlock(site_id="s1", since_s=50.0, until_s=math.inf)

    assert named(i11_discharge_only_by_grant([grant], [block])) == ["I11"]
    assert not i11_discharge_only_by_grant([grant], [replace(block, site_id="s2")])
    assert not i11_discharge_only_by_grant([grant], [replace(block, until_s=100.0)])
    seen = [DischargeSample(cable_id="c1", at_s=at_s) for at_s in (99.0, 100.0, 189.0, 190.0)]
    assert named(i11_discharge_only_by_grant([grant], samples=seen)) == ["I11", "I11"]
    assert not i11_discharge_only_by_grant([grant], samples=seen, slack_s=5.0)
    other = DischargeSample(cable_id="c2", at_s=150.0)
    assert named(i11_discharge_only_by_grant([grant], samples=[other])) == ["I11"]


def test_i12_fences_that_repeat_or_fall() -> None:
    assert named(i12_fences_only_rise([replace(HISTORY, fences=[3, 3, 2])])) == ["I12", "I12"]
    assert named(i12_fences_only_rise([], [entry(1, fence=2), entry(2, fence=1)])) == ["I12"]


def test_i13_a_chain_that_was_changed_cut_or_rewritten() -> None:
    def link(before: bytes, body: bytes) -> bytes:
        return hashlib.sha256(before + body).digest()

    lines, digest = [], b""
    for number in range(1, 5):
        digest = link(digest, b"%d" % number)
        lines.append(AuditLine(number=number, body=b"%d" % number, digest=digest))
    head = (4, digest)

    assert not i13_audit_is_a_chain(lines, link, head=head)
    changed = [*lines[:1], replace(lines[1], body=b"x"), *lines[2:]]
    assert named(i13_audit_is_a_chain(changed, link)) == ["I13"]
    assert "I13" in named(i13_audit_is_a_chain([*lines[:1], *lines[2:]], link))
    assert named(i13_audit_is_a_chain(lines[:3], link, head=head)) == ["I13"]


def test_i14_what_never_arrived_or_was_never_confirmed() -> None:
    assert named(i14_everything_arrived([HISTORY], ENTRIES[:2])) == ["I14"]
    assert named(i14_everything_arrived([replace(HISTORY, acked=[2])], ENTRIES)) == ["I14"]
