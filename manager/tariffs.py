"""The drivers' tariff from the manager's settings."""

from __future__ import annotations

from gridcord.settlement.schedule import Prices, Schedule
from gridcord.settlement.tariff import Proration, Tariff, TariffBook
from gridcord.units import Money, Price
from manager.settings import TariffSettings


def tariff_book(settings: TariffSettings) -> TariffBook[Tariff]:
    """All versions that settings name.

    Raises:
        ValueError: A price or amount is none.
    """
    currency = settings.currency
    prices = Prices(
        taken=Price.per_kwh(currency, settings.charge_per_kwh),
        given=Price.per_kwh(currency, settings.discharge_per_kwh),
    )
    basic = Tariff(
        tariff_id="standard",
        version=1,
        schedule=Schedule(zone=settings.zone, base=prices),
        availability=Money.of(currency, settings.availability),
        proration=Proration(settings.proration),
    )
    return TariffBook([basic])
