"""The ledger: append-only double entry, every entry a pure function of facts.

When a subject's facts change what it comes to, the entry that stood is reversed and a new one
made; nothing is ever changed or deleted. Hence the same facts in any order of arrival give the same
balances, every balance is explained by the entries behind it, and "what did we know on ..." is a
query over the time at which entries were made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from gridcord.settlement.account import Account, Posting
from gridcord.settlement.facts import Fact, Gathering, Subject, subjects
from gridcord.settlement.posting_rules import Derived, derived
from gridcord.settlement.terms import Terms


class Unbalanced(ValueError):
    """The lines of an entry do not sum to zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry.

    Args:
        subject: What it is about.
        serial: Its number among the entries of the subject, from 1, gap-free.
        known_s: When it was made, seconds since 1970 UTC.
        rule: Version of the rule that made it.
        sources: Names of the facts and tariffs it rests on.
        postings: Its lines; sum to zero in each currency.
        reverses: Serial of the entry that it undoes; None for one that stands.

    Raises:
        Unbalanced: The lines do not sum to zero.
    """

    subject: Subject
    serial: int
    known_s: int
    rule: str
    sources: tuple[str, ...]
    postings: tuple[Posting, ...]
    reverses: int | None = None

    def __post_init__(self) -> None:
        sums: defaultdict[str, int] = defaultdict(int)
        for posting in self.postings:
            sums[posting.amount.currency] += posting.amount.micros
        if any(sums.values()):
            message = f"entry {self.name} does not sum to zero: {dict(sums)}"
            raise Unbalanced(message)

    @property
    def name(self) -> str:
        """What other entries and evidence call it."""
        return f"{self.subject}#{self.serial}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectState:
    """Where a subject stands.

    Args:
        facts: All that is known of it.
        standing: The entry in force; None while it comes to nothing.
        serial: Of its last entry; 0 before the first.
    """

    facts: Gathering = field(default_factory=Gathering)
    standing: Entry | None = None
    serial: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFact:
    """A fact and when it became known, seconds since 1970 UTC."""

    fact: Fact
    known_s: int


def learn(
    *, state: SubjectState, subject: Subject, fact: Fact, known_s: int, terms: Terms
) -> tuple[SubjectState, tuple[Entry, ...]]:
    """Take one more fact into account.

    Returns:
        Where the subject stands after it, and the entries to append: none when the money does not
        change, else a reversal of what stood (if something did) and what stands now (if anything).

    Raises:
        NoTariff: No driver's tariff holds.
        Equivocation: A different record of a known name.
    """
    facts = state.facts.gathered(fact)
    if facts is state.facts:
        return state, ()
    return restated(
        state=replace(state, facts=facts), subject=subject, known_s=known_s, terms=terms
    )


def restated(
    *, state: SubjectState, subject: Subject, known_s: int, terms: Terms
) -> tuple[SubjectState, tuple[Entry, ...]]:
    """Derive a subject anew, after a fact or under other terms; returns as `learn` does."""
    result = derived(subject=subject, facts=state.facts, terms=terms)
    standing = state.standing
    if result.postings == (standing.postings if standing else ()):
        return state, ()
    entries = []
    if standing is not None:
        entries.append(_reversal(standing, serial=state.serial + 1, known_s=known_s))
    if result.postings:
        serial = state.serial + len(entries) + 1
        entries.append(_entry(subject, result, serial, known_s, terms.rule.version))
    return SubjectState(
        facts=state.facts,
        standing=entries[-1] if result.postings else None,
        serial=state.serial + len(entries),
    ), tuple(entries)


def fold(*, facts: Iterable[KnownFact], terms: Terms) -> Iterator[Entry]:
    """Yield all entries that facts give, in the order in which the facts came."""
    states: dict[Subject, SubjectState] = {}
    for known in facts:
        for subject in subjects(known.fact):
            states[subject], entries = learn(
                state=states.get(subject, _UNKNOWN),
                subject=subject,
                fact=known.fact,
                known_s=known.known_s,
                terms=terms,
            )
            yield from entries


Balances = dict[tuple[Account, str], int]


def balances(entries: Iterable[Entry], *, as_of_s: int | None = None) -> Balances:
    """What each account is owed, micros by account and currency; zero balances are left out.

    Args:
        entries: In any order.
        as_of_s: Count only what was known then, seconds since 1970 UTC; None for everything.
    """
    sums: defaultdict[tuple[Account, str], int] = defaultdict(int)
    for entry in entries:
        if as_of_s is None or entry.known_s <= as_of_s:
            for posting in entry.postings:
                sums[posting.account, posting.amount.currency] += posting.amount.micros
    return {name: micros for name, micros in sums.items() if micros}


def _entry(subject: Subject, result: Derived, serial: int, known_s: int, rule: str) -> Entry:
    return Entry(
        subject=subject,
        serial=serial,
        known_s=known_s,
        rule=rule,
        sources=result.sources,
        postings=result.postings,
    )


def _reversal(entry: Entry, *, serial: int, known_s: int) -> Entry:
    return replace(
        entry,
        serial=serial,
        known_s=known_s,
        sources=(f"entry:{entry.name}",),
        postings=tuple(posting.reversed() for posting in entry.postings),
        reverses=entry.serial,
    )


_UNKNOWN = SubjectState()
