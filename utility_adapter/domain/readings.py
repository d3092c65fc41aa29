"""The utility's readings: facts that are only ever added, and what a newcomer adds to them.

A fact has two times: the period it is about, and when we received it. So "what did we know on
that day" stays answerable after every correction (bitemporal, append-only).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gridcord.units import Period, SiteId
from utility_adapter.domain.admission import Admission, admit

MAX_WH = 10**15  # above it no register of a site counts


class Register(StrEnum):
    """One of the two registers of a site, as seen from the site."""

    IMPORT = "IMPORT"  # grid towards site
    EXPORT = "EXPORT"  # site towards grid


class DataQuality(StrEnum):
    """What the utility says of a value, best first."""

    VALID = "VALID"  # measured and validated
    RAW = "RAW"  # measured, not validated yet
    EDITED = "EDITED"  # replaced or approved by a person
    ESTIMATED = "ESTIMATED"  # computed in place of what was not measured
    QUESTIONABLE = "QUESTIONABLE"  # failed a check


_RANK = {quality: rank for rank, quality in enumerate(DataQuality)}


def worst(qualities: Iterable[DataQuality]) -> DataQuality:
    """The least trusted of at least one quality."""
    return max(qualities, key=_RANK.__getitem__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingFact:
    """One value of one register in one period, as it was received.

    Args:
        site_id: The metering point.
        period: The period; its length is the data's.
        register: Which register.
        wh: Energy in the period, Wh, in [0, MAX_WH].
        step_wh: The true value is within this of `wh`, Wh, >= 1.
        quality: What the utility says of it.
        revision: Order number that the source gives: a higher one replaces a lower one of the
            same site, period and register, whatever arrived first. Formats that stamp values
            with a time of update use it, in seconds since 1970 UTC.
        received_at_s: When we received it, seconds since 1970 UTC.
        source: The delivery it came in: a file's name or an address.
        method: How the utility got it, in the format's own code, such as "S14"; may be empty.

    Raises:
        ValueError: Out of bounds.
    """

    site_id: SiteId
    period: Period
    register: Register
    wh: int
    step_wh: int
    quality: DataQuality
    revision: int
    received_at_s: float
    source: str
    method: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.wh <= MAX_WH:
            message = f"a register of a site counts 0 to {MAX_WH} Wh in a period, not {self.wh}"
            raise ValueError(message)
        if self.step_wh < 1 or self.revision < 0:
            message = f"no step of {self.step_wh} Wh or revision {self.revision}"
            raise ValueError(message)

    @property
    def key(self) -> FactKey:
        """What the fact is about."""
        return (self.site_id, self.period, self.register)

    def states_the_same_as(self, other: ReadingFact) -> bool:
        """Whether both say the same of the same, however and whenever they arrived."""
        return (
            self.key == other.key
            and (self.revision, self.wh, self.step_wh, self.quality)
            == (other.revision, other.wh, other.step_wh, other.quality)
        )  # fmt: skip


FactKey = tuple[SiteId, Period, Register]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two facts of one revision that differ; the first received stays in force.

    Args:
        kept: What is known.
        refused: What contradicts it.
    """

    kept: ReadingFact
    refused: ReadingFact


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What became of a batch of facts.

    Args:
        admitted: To be stored, in the order given.
        duplicates: How many were known already.
        conflicts: What contradicts what is known; to be reported, not stored.
    """

    admitted: tuple[ReadingFact, ...]
    duplicates: int
    conflicts: tuple[Conflict, ...]


def take_in(*, known: Iterable[ReadingFact], facts: Iterable[ReadingFact]) -> Intake:
    """Sort a batch into what is new, known and contradictory.

    Args:
        known: At least the known facts of every key in the batch.
        facts: The batch, in order; facts of the batch count as known for those after them.
    """
    kept = by_key(known)
    admitted: list[ReadingFact] = []
    conflicts: list[Conflict] = []
    duplicates = 0
    for fact in facts:
        others = kept[fact.key]
        match admit(known=others, fact=fact):
            case Admission.DUPLICATE:
                duplicates += 1
            case Admission.CONFLICT:
                first = next(other for other in others if other.revision == fact.revision)
                conflicts.append(Conflict(kept=first, refused=fact))
            case _:
                others.append(fact)
                admitted.append(fact)
    return Intake(admitted=tuple(admitted), duplicates=duplicates, conflicts=tuple(conflicts))


def by_key(facts: Iterable[ReadingFact]) -> dict[FactKey, list[ReadingFact]]:
    """Facts by what they are about, in the order given."""
    grouped: dict[FactKey, list[ReadingFact]] = defaultdict(list)
    for fact in facts:
        grouped[fact.key].append(fact)
    return grouped
