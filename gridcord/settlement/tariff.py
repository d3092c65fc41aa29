"""Tariffs as data: versions with validity, area and prices by time of day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from gridcord.settlement.schedule import Schedule
from gridcord.units import Money, Period

EVERYWHERE = ""


class NoTariff(LookupError):
    """No version of any tariff holds for an area and period."""


class Proration(StrEnum):
    """What a period with a shorter connection earns of the availability payment."""

    CONNECTED_TIME = "CONNECTED_TIME"  # the share of the period that was connected
    WHOLE_PERIOD = "WHOLE_PERIOD"  # all of it, however short


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffVersion:
    """One version of a tariff; a correction is a new version, never a change.

    Args:
        tariff_id: Which tariff.
        version: From 1; where several hold, the highest counts.
        schedule: Its prices.
        area: Where it holds; `EVERYWHERE` where no version names the area.
        valid_from_s: First second, since 1970 UTC.
        valid_to_s: First second after it; None while it is open.

    Raises:
        ValueError: No positive version, or validity that ends before it starts.
    """

    tariff_id: str
    version: int
    schedule: Schedule
    area: str = EVERYWHERE
    valid_from_s: int = 0
    valid_to_s: int | None = None

    def __post_init__(self) -> None:
        if self.version < 1 or not self.tariff_id:
            message = f"a tariff version is a name and a number from 1: {self.name}"
            raise ValueError(message)
        if self.valid_to_s is not None and self.valid_to_s <= self.valid_from_s:
            message = f"tariff {self.name} ends before it starts"
            raise ValueError(message)

    @property
    def name(self) -> str:
        """What entries and earnings quote, such as `guest/3`."""
        return f"{self.tariff_id}/{self.version}"

    def holds(self, *, area: str, period: Period) -> bool:
        """Whether it holds for a period, decided by the period's start."""
        if self.area not in (EVERYWHERE, area) or period.start_s < self.valid_from_s:
            return False
        return self.valid_to_s is None or period.start_s < self.valid_to_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff(TariffVersion):
    """What a driver earns and pays (patent figure 4).

    Prices: `taken` is charged per kWh into the vehicle, `given` is paid per kWh out of it.

    Args:
        availability: For a cable connected during a whole period, >= 0, also when idle.
        proration: What a shorter connection earns.

    Raises:
        ValueError: Besides those of `TariffVersion`: negative availability, or two currencies.
    """

    availability: Money
    proration: Proration = Proration.CONNECTED_TIME

    def __post_init__(self) -> None:
        TariffVersion.__post_init__(self)
        if self.availability.micros < 0 or self.availability.currency != self.schedule.currency:
            message = f"availability is paid in {self.schedule.currency}: {self.availability}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTariff(TariffVersion):
    """What a site pays the utility: `taken` per kWh imported, `given` per kWh exported."""


AnyTariff = TypeVar("AnyTariff", bound=TariffVersion)


class TariffBook(Generic[AnyTariff]):
    """All versions of all tariffs of one kind.

    Args:
        versions: In any order.

    Raises:
        ValueError: Two versions of one name.
    """

    def __init__(self, versions: Iterable[AnyTariff]) -> None:
        given = tuple(versions)
        by_name = {version.name: version for version in given}
        if len(by_name) != len(given):
            message = "two tariffs of one name and version"
            raise ValueError(message)
        # A named area before everywhere, then the highest version, then the name.
        self.versions = tuple(
            sorted(given, key=lambda v: (v.area == EVERYWHERE, -v.version, v.tariff_id))
        )

    def tariff(self, *, area: str, period: Period) -> AnyTariff:
        """The version that counts for a period in an area.

        Raises:
            NoTariff: None holds.
        """
        for version in self.versions:
            if version.holds(area=area, period=period):
                return version
        message = f"no tariff for area {area!r} at {period}"
        raise NoTariff(message)
