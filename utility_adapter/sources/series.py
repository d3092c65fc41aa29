"""What is written: the periods of one site, or of one cable at one site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TypeVar

from gridcord.units import CableId, Period, SiteId
from utility_adapter.domain.readings import DataQuality, ReadingFact, Register, worst
from utility_adapter.domain.transfers import PeriodTransfer

K = TypeVar("K", str, tuple[SiteId, CableId])
G = TypeVar("G")


class NotExpressible(ValueError):
    """A format has no way to say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesValue:
    """One period, seen from the site: what it took from the grid and gave to it.

    Args:
        period: The period.
        import_wh: Wh, >= 0; None when not known. Through a cable: charged.
        export_wh: Wh, >= 0; None when not known. Through a cable: discharged.
        quality: How far it can be trusted.
        updated_s: Last change, seconds since 1970 UTC.
    """

    period: Period
    import_wh: int | None
    export_wh: int | None
    quality: DataQuality
    updated_s: int

    def wh(self, register: Register) -> int | None:
        """The value of a register."""
        return self.import_wh if register is Register.IMPORT else self.export_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The periods of one metering point.

    Args:
        site_id: The site.
        cable_id: The cable whose virtual meter it is; None for the site's own.
        values: In order of time, of one length.
    """

    site_id: SiteId
    cable_id: CableId | None
    values: tuple[SeriesValue, ...]

    @property
    def length_s(self) -> int:
        """Length of its periods, s."""
        return self.values[0].period.length_s

    @property
    def registers(self) -> tuple[Register, ...]:
        """The registers of which it has any value."""
        return tuple(
            register
            for register in Register
            if any(value.wh(register) is not None for value in self.values)
        )


def transfer_series(transfers: Iterable[PeriodTransfer], *, written_at_s: int) -> Iterator[Series]:
    """Group transfers by site and cable.

    Args:
        transfers: Sorted by site, cable and period, one revision of each.
        written_at_s: Seconds since 1970 UTC; stands as the last change of every value, so that
            what is written later replaces what was written before.

    Raises:
        NotExpressible: Not sorted so.
    """
    grouped = groupby(transfers, key=lambda transfer: (transfer.site_id, transfer.cable_id))
    for (site_id, cable_id), group in _in_order(grouped):
        values = tuple(
            SeriesValue(
                period=transfer.period,
                import_wh=transfer.site_to_vehicle_wh,
                export_wh=transfer.vehicle_to_site_wh,
                quality=DataQuality.VALID,
                updated_s=written_at_s,
            )
            for transfer in group
        )
        yield _checked(Series(site_id=site_id, cable_id=cable_id, values=values))


def reading_series(facts: Iterable[ReadingFact]) -> Iterator[Series]:
    """Group readings by site.

    Args:
        facts: Sorted by site, then period, one revision of each.

    Raises:
        NotExpressible: Not sorted so.
    """
    for site_id, of_site in _in_order(groupby(facts, key=lambda fact: fact.site_id)):
        values = tuple(
            _value(period, {fact.register: fact for fact in group})
            for period, group in groupby(of_site, key=lambda fact: fact.period)
        )
        yield _checked(Series(site_id=site_id, cable_id=None, values=values))


def _value(period: Period, facts: dict[Register, ReadingFact]) -> SeriesValue:
    imported, exported = facts.get(Register.IMPORT), facts.get(Register.EXPORT)
    return SeriesValue(
        period=period,
        import_wh=imported.wh if imported else None,
        export_wh=exported.wh if exported else None,
        quality=worst(fact.quality for fact in facts.values()),
        updated_s=max(fact.revision for fact in facts.values()),
    )


def _in_order(groups: Iterable[tuple[K, G]]) -> Iterator[tuple[K, G]]:
    """Groups whose keys rise."""
    last: K | None = None
    for key, group in groups:
        if last is not None and not last < key:
            message = f"not sorted: {key} after {last}"
            raise NotExpressible(message)
        last = key
        yield key, group


def _checked(series: Series) -> Series:
    periods = [value.period for value in series.values]
    if len({period.length_s for period in periods}) > 1:
        message = f"periods of several lengths at {series.site_id}"
        raise NotExpressible(message)
    if any(later <= earlier for earlier, later in pairwise(periods)):
        message = f"periods of {series.site_id} are not sorted, or stand twice"
        raise NotExpressible(message)
    return series
