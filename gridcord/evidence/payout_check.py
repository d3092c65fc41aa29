"""Derives payouts again: each is what its account was owed when its month was closed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from gridcord.evidence.bundle_archive import BundleFault
from gridcord.evidence.bundle_lines import PayoutLine
from gridcord.settlement.facts import AccountSubject, Payout, Subject
from gridcord.settlement.ledger import Entry
from gridcord.settlement.statement import rounded
from gridcord.units import Money

_Owed = tuple[Subject, int]


def check_payouts(
    payouts: Iterable[tuple[int, PayoutLine]], entries: Iterable[Entry]
) -> tuple[str, ...]:
    """Compare each payout with all that was owed before it, rounded once.

    Args:
        payouts: With the numbers of their lines.
        entries: All that follow from the bundle's facts, in the order in which they were made.

    Returns:
        Names of payouts that only the aggregator vouches for: until when they paid was not kept.

    Raises:
        BundleFault: The first that is not what its account was owed.
    """
    stated = {_subject(line.payout): (number, line.payout) for number, line in payouts}
    owed: defaultdict[tuple[str, str], list[_Owed]] = defaultdict(list)
    seen: set[AccountSubject] = set()
    for entry in entries:
        if isinstance(entry.subject, AccountSubject) and entry.subject in stated:
            number, payout = stated[entry.subject]
            _compare(number, payout, owed[str(payout.account), payout.amount.currency])
            seen.add(entry.subject)
        for each in entry.postings:
            known = owed[str(each.account), each.amount.currency]
            known.append((entry.subject, each.amount.micros))
    _check_paid(stated, seen)
    return tuple(str(s) for s, (_, payout) in stated.items() if payout.before_s is None)


def _subject(payout: Payout) -> AccountSubject:
    return AccountSubject(payout.account, payout.month)


def _compare(number: int, payout: Payout, owed: Iterable[_Owed]) -> None:
    before_s = payout.before_s
    if before_s is None:
        return
    micros = sum(each for subject, each in owed if _before(subject, before_s, payout.month))
    right = rounded(Money(payout.amount.currency, micros))
    if right != payout.amount:
        reason = f"does not follow from the inputs; owed was {right}"
        raise BundleFault("payouts", number, reason, f"{payout.account}/{payout.month}")


def _before(subject: Subject, before_s: int, month: str) -> bool:
    """Whether an entry counts for what is owed at the end of a month."""
    if isinstance(subject, AccountSubject):
        return subject.month < month
    return subject.period.start_s < before_s


def _check_paid(
    stated: Mapping[AccountSubject, tuple[int, Payout]], seen: set[AccountSubject]
) -> None:
    for subject, (number, payout) in stated.items():
        if subject not in seen:
            name = f"{payout.account}/{payout.month}"
            raise BundleFault("payouts", number, "it pays nothing", name)
