"""What the facts say: now, or as it was known at an earlier time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gridcord.metering.reading import ReadingQuality, ReadingSource, SiteReading
from gridcord.units import Period, SiteId
from utility_adapter.domain.readings import (
    DataQuality,
    FactKey,
    ReadingFact,
    Register,
    by_key,
    worst,
)

_MEASURED = frozenset({DataQuality.VALID, DataQuality.RAW})


def as_of(*, facts: Iterable[ReadingFact], received_before_s: float) -> tuple[ReadingFact, ...]:
    """The facts that were known before an instant, seconds since 1970 UTC."""
    return tuple(fact for fact in facts if fact.received_at_s < received_before_s)


def current(*, facts: Iterable[ReadingFact]) -> dict[FactKey, ReadingFact]:
    """The fact in force of every key: the highest revision, among equals the first received."""
    return {
        key: min(others, key=lambda fact: (-fact.revision, fact.received_at_s))
        for key, others in by_key(facts).items()
    }


def site_readings(
    *, facts: Iterable[ReadingFact], received_before_s: float | None = None
) -> tuple[SiteReading, ...]:
    """What the utility says of sites, by site and period.

    A reading's revision counts the facts that replaced or joined the first one of each register:
    0 for a period that was never corrected, higher after every fact that was added to it.

    Args:
        facts: Any facts.
        received_before_s: As was known then, seconds since 1970 UTC; None for all of it.
    """
    facts = tuple(facts)
    if received_before_s is not None:
        facts = as_of(facts=facts, received_before_s=received_before_s)
    counts: dict[tuple[SiteId, Period], int] = defaultdict(int)
    for fact in facts:
        counts[fact.site_id, fact.period] += 1
    pairs: dict[tuple[SiteId, Period], dict[Register, ReadingFact]] = defaultdict(dict)
    for (site_id, period, register), fact in current(facts=facts).items():
        pairs[site_id, period][register] = fact
    return tuple(
        _site_reading(registers=pairs[key], revision=counts[key] - len(pairs[key]))
        for key in sorted(pairs)
    )


def _site_reading(*, registers: Mapping[Register, ReadingFact], revision: int) -> SiteReading:
    stated = tuple(registers.values())
    imported, exported = registers.get(Register.IMPORT), registers.get(Register.EXPORT)
    return SiteReading(
        site_id=stated[0].site_id,
        period=stated[0].period,
        source=ReadingSource.UTILITY,
        import_wh=imported.wh if imported else None,
        export_wh=exported.wh if exported else None,
        step_wh=max(fact.step_wh for fact in stated),
        quality=trust(worst(fact.quality for fact in stated)),
        revision=revision,
    )


def trust(quality: DataQuality) -> ReadingQuality:
    """How far matching may trust a value: only what was measured counts as measured."""
    return ReadingQuality.COMPLETE if quality in _MEASURED else ReadingQuality.ESTIMATED


def changes(
    *, before: Iterable[SiteReading], after: Iterable[SiteReading]
) -> tuple[SiteReading, ...]:
    """The readings of `after` that say something else than `before`: to be matched again.

    A reading that was only confirmed (same values, step and quality) is no change.
    """
    former = {(reading.site_id, reading.period): _statement(reading) for reading in before}
    return tuple(
        reading
        for reading in after
        if former.get((reading.site_id, reading.period)) != _statement(reading)
    )


def _statement(
    reading: SiteReading,
) -> tuple[int | None, int | None, int, ReadingQuality]:
    return reading.import_wh, reading.export_wh, reading.step_wh, reading.quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Consecutive periods without a value.

    Args:
        first: The first of them.
        count: How many, >= 1.
    """

    first: Period
    count: int


def gaps(*, present: Iterable[Period], first: Period, count: int) -> tuple[Gap, ...]:
    """The runs of periods in [first, first + count) that have no value.

    Args:
        present: Periods that have one, of any order and range.
        first: Start of the range; gives the length of its periods.
        count: Length of the range, >= 0.
    """
    have = {period.start_s for period in present if period.length_s == first.length_s}
    found: list[Gap] = []
    run = 0
    for index in range(count + 1):
        period = first.next(index)
        if index < count and period.start_s not in have:
            run += 1
        elif run:
            found.append(Gap(first=period.next(-run), count=run))
            run = 0
    return tuple(found)
