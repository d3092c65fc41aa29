"""What must hold after every fault, as functions of plain rows: I1 to I14.

Each takes what a test read from a store and what the cables say happened, and returns what is
wrong; an empty list is what a test wants. Nothing here knows how the rows are stored.

    assert not [*i2_no_key_twice(entries), *i3_gapless(entries, cursors, lost)]

Amounts are Wh and micros, instants seconds since 1970 UTC, a period is named by its start.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from tests.system.rows import (
    AuditLine,
    CableHistory,
    DischargeGrant,
    DischargeSample,
    LedgerLine,
    Lineage,
    LostEntries,
    RegisterSpan,
    SiteBlock,
    SitePeriod,
    StoredCursor,
    StoredEntry,
    Violation,
)

__all__ = [
    "AuditLine",
    "CableHistory",
    "DischargeGrant",
    "DischargeSample",
    "LedgerLine",
    "LostEntries",
    "RegisterSpan",
    "SiteBlock",
    "StoredCursor",
    "StoredEntry",
    "Violation",
    "i1_acked_is_committed",
    "i2_no_key_twice",
    "i3_gapless",
    "i4_bytes_are_the_cables",
    "i5_cable_is_the_certificates",
    "i6_derived_is_the_fold",
    "i7_registers_are_a_chain",
    "i8_meter_explains_what_is_paid",
    "i9_one_availability_payment",
    "i10_ledger_balances_and_only_grows",
    "i11_discharge_only_by_grant",
    "i12_fences_only_rise",
    "i13_audit_is_a_chain",
    "i14_everything_arrived",
]

KeyT = TypeVar("KeyT", bound=Hashable)


def i1_acked_is_committed(
    histories: Iterable[CableHistory], cursors: Iterable[StoredCursor]
) -> list[Violation]:
    """Nothing was confirmed to a cable that is not in the store."""
    committed = {(c.cable_id, c.journal_epoch): c.committed_sequence for c in cursors}
    return [
        Violation("I1", f"{history.lineage}: {acked} confirmed, {stored} committed")
        for history in histories
        if (acked := max(history.acked, default=0)) > (stored := committed.get(history.lineage, 0))
    ]


def i2_no_key_twice(entries: Iterable[StoredEntry]) -> list[Violation]:
    """No two rows are of one key."""
    keys = Counter((*entry.lineage, entry.sequence) for entry in entries)
    return [Violation("I2", f"{key} {count} times") for key, count in keys.items() if count > 1]


def i3_gapless(
    entries: Iterable[StoredEntry],
    cursors: Iterable[StoredCursor],
    lost: Iterable[LostEntries] = (),
) -> list[Violation]:
    """Of each journal exactly 1 to the cursor is stored, or declared lost."""
    found: dict[Lineage, set[int]] = defaultdict(set)
    for entry in entries:
        found[entry.lineage].add(entry.sequence)
    for gap in lost:
        found[gap.cable_id, gap.journal_epoch].update(range(gap.first, gap.last + 1))
    committed = {(c.cable_id, c.journal_epoch): c.committed_sequence for c in cursors}
    violations = []
    for lineage in found.keys() | committed.keys():
        expected = set(range(1, committed.get(lineage, 0) + 1))
        missing, beyond = expected - found[lineage], found[lineage] - expected
        if missing or beyond:
            text = f"{lineage}: missing {_some(missing)}, beyond the cursor {_some(beyond)}"
            violations.append(Violation("I3", text))
    return violations


def i4_bytes_are_the_cables(
    entries: Iterable[StoredEntry], histories: Iterable[CableHistory]
) -> list[Violation]:
    """What is stored is byte for byte what the cable of that name wrote under that number."""
    written = {history.lineage: history.produced for history in histories}
    return [
        Violation("I4", f"{entry.lineage} {entry.sequence}: not the cable's bytes")
        for entry in entries
        if written.get(entry.lineage, {}).get(entry.sequence) != entry.body
    ]


def i5_cable_is_the_certificates(entries: Iterable[StoredEntry]) -> list[Violation]:
    """An entry is of the cable whose certificate brought it."""
    return [
        Violation("I5", f"{entry.lineage} {entry.sequence}: brought by {entry.certificate_id}")
        for entry in entries
        if entry.cable_id != entry.certificate_id
    ]


def i6_derived_is_the_fold(
    name: str, derived: Mapping[KeyT, object], fold: Mapping[KeyT, object]
) -> list[Violation]:
    """A derived table says what its function of the stored entries says, row by row."""
    return [
        Violation("I6", f"{name}[{key!r}]: {derived.get(key)!r}, must be {fold.get(key)!r}")
        for key in derived.keys() | fold.keys()
        if key not in derived or key not in fold or derived[key] != fold[key]
    ]


def i7_registers_are_a_chain(
    spans: Iterable[RegisterSpan], gaps: Iterable[tuple[str, int]] = ()
) -> list[Violation]:
    """A record begins where the one before it ended, or a gap row stands there.

    Args:
        spans: Records, in any order.
        gaps: (cable, number of the record after the gap).
    """
    declared, chains = set(gaps), defaultdict(list)
    for span in spans:
        chains[span.cable_id].append(span)
    violations = []
    for cable_id, chain in chains.items():
        chain.sort(key=lambda span: span.sequence)
        violations += [
            Violation("I7", f"{cable_id} {span.sequence}: registers fall")
            for span in chain
            if span.end_wh[0] < span.start_wh[0] or span.end_wh[1] < span.start_wh[1]
        ]
        for before, after in pairwise(chain):
            if before.end_wh != after.start_wh and (cable_id, after.sequence) not in declared:
                text = f"{cable_id} {after.sequence}: {before.end_wh} then {after.start_wh}"
                violations.append(Violation("I7", text))
    return violations


def i8_meter_explains_what_is_paid(
    paid_wh: Mapping[tuple[str, int, str], int],
    explained_wh: Mapping[SitePeriod, int],
    flagged: Iterable[SitePeriod] = (),
) -> list[Violation]:
    """Of a site and period no more discharge is paid, over all cables, than its meter explains.

    Args:
        paid_wh: Discharge paid, by (site, period, cable).
        explained_wh: Most that the meter can explain, tolerance included, by (site, period).
        flagged: Sites and periods that are marked for a human.
    """
    sums: Counter[SitePeriod] = Counter()
    for (site_id, start_s, _), amount_wh in paid_wh.items():
        sums[site_id, start_s] += amount_wh
    excused = set(flagged)
    return [
        Violation("I8", f"{key}: {paid} Wh paid, {explained_wh.get(key, 0)} Wh explained")
        for key, paid in sums.items()
        if paid > explained_wh.get(key, 0) and key not in excused
    ]


def i9_one_availability_payment(payments: Iterable[tuple[str, int]]) -> list[Violation]:
    """A cable is paid for availability at most once in a period.

    Args:
        payments: (cable, start of the period) of each payment in force.
    """
    return [
        Violation("I9", f"{cable_id} is paid {count} times for {start_s}")
        for (cable_id, start_s), count in Counter(payments).items()
        if count > 1
    ]


def i10_ledger_balances_and_only_grows(
    lines: Iterable[LedgerLine], earlier: Iterable[LedgerLine] = ()
) -> list[Violation]:
    """Every booking sums to zero in each currency; what was booked stays as it was.

    Args:
        lines: The ledger.
        earlier: The ledger as it was read before.
    """
    sums: Counter[tuple[str, str]] = Counter()
    now = {}
    for line in lines:
        sums[line.transaction_id, line.currency] += line.amount_micros
        now[line.line_id] = line
    unbalanced = [
        Violation("I10", f"{key} sums to {total}") for key, total in sums.items() if total
    ]
    changed = [
        Violation("I10", f"line {line.line_id} was {line}, is {now.get(line.line_id)}")
        for line in earlier
        if now.get(line.line_id) != line
    ]
    return unbalanced + changed


def i11_discharge_only_by_grant(
    grants: Sequence[DischargeGrant],
    blocks: Iterable[SiteBlock] = (),
    samples: Iterable[DischargeSample] = (),
    *,
    slack_s: float = 0.0,
) -> list[Violation]:
    """No grant is given at a blocked site or outlives the block by its term; none, no discharge.

    Args:
        grants: All grants.
        blocks: All blocks.
        samples: When cables were seen to discharge.
        slack_s: What the instruments need to react and to notice, seconds.
    """
    barred = defaultdict(list)
    for block in blocks:
        barred[block.site_id].append(block)
    violations = [
        Violation("I11", f"{grant} is given while {block}")
        for grant in grants
        for block in barred[grant.site_id]
        if block.since_s + slack_s <= grant.granted_s < block.until_s
    ]
    held = defaultdict(list)
    for grant in grants:
        held[grant.cable_id].append(grant)
    ungranted = [
        Violation("I11", f"{sample} without a grant")
        for sample in samples
        if not any(
            grant.granted_s - slack_s <= sample.at_s < grant.expire_s + slack_s
            for grant in held[sample.cable_id]
        )
    ]
    return violations + ungranted


def i12_fences_only_rise(
    histories: Iterable[CableHistory], entries: Iterable[StoredEntry] = ()
) -> list[Violation]:
    """A cable is welcomed under ever higher fences, and no row has a lower one than a row before.

    Args:
        histories: Welcomes as the cables saw them.
        entries: Rows in the order in which they were written.
    """
    violations = [
        Violation("I12", f"{history.lineage}: welcomed under {before}, then {after}")
        for history in histories
        for before, after in pairwise(history.fences)
        if after <= before
    ]
    highest: dict[str, int] = {}
    for entry in entries:
        if entry.fence < highest.get(entry.cable_id, 0):
            text = f"{entry.lineage} {entry.sequence}: fence {entry.fence} after a higher one"
            violations.append(Violation("I12", text))
        highest[entry.cable_id] = max(entry.fence, highest.get(entry.cable_id, 0))
    return violations


def i13_audit_is_a_chain(
    lines: Iterable[AuditLine],
    link: Callable[[bytes, bytes], bytes],
    *,
    head: tuple[int, bytes] | None = None,
) -> list[Violation]:
    """Every line's digest covers the line before it, back to the first.

    Args:
        lines: The log, in order.
        link: Digest of a line, given the digest before it (b"" for the first) and its body.
        head: Number and digest of a line as it was exported before; it must still be there.
    """
    violations, digest, digests = [], b"", {}
    for expected, line in enumerate(lines, 1):
        if line.number != expected:
            violations.append(Violation("I13", f"line {line.number} where {expected} belongs"))
        if line.digest != link(digest, line.body):
            violations.append(Violation("I13", f"line {line.number} is not what was written"))
        digest = digests[line.number] = line.digest
    if head is not None and digests.get(head[0]) != head[1]:
        violations.append(Violation("I13", f"line {head[0]} is not the one that was exported"))
    return violations


def i14_everything_arrived(
    histories: Iterable[CableHistory], entries: Iterable[StoredEntry]
) -> list[Violation]:
    """Some time after the last fault all that was produced is stored, and confirmed."""
    stored: dict[Lineage, set[int]] = defaultdict(set)
    for entry in entries:
        stored[entry.lineage].add(entry.sequence)
    violations = []
    for history in histories:
        missing = history.produced.keys() - stored[history.lineage]
        if missing:
            text = f"{history.lineage}: {_some(missing)} never stored"
            violations.append(Violation("I14", text))
        last, acked = max(history.produced, default=0), max(history.acked, default=0)
        if acked < last:
            text = f"{history.lineage}: {last} produced, {acked} confirmed"
            violations.append(Violation("I14", text))
    return violations


def _some(numbers: set[int]) -> str:
    first = sorted(numbers)[:10]
    return f"{first}{' ...' if len(numbers) > len(first) else ''}"
