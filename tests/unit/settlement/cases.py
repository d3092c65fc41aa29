"""Tariffs and transfers for the tests of settlement."""

from __future__ import annotations

from gridcord.metering.records import TransferRecord
from gridcord.settlement.schedule import Prices, Schedule
from gridcord.settlement.tariff import Proration, Tariff
from gridcord.settlement.transfer import Transfer, TransferKey
from gridcord.units import CableId, Money, Period, Price

PERIOD = Period(1_795_419_000)  # 2026-11-23T07:30:00Z


def tariff(
    price: str = "0.20",
    *,
    given: str | None = None,
    availability: str = "1",
    proration: Proration = Proration.CONNECTED_TIME,
    version: int = 1,
) -> Tariff:
    """A tariff in dollars, by default one price both ways."""
    prices = Prices(taken=Price.per_kwh("USD", price), given=Price.per_kwh("USD", given or price))
    return Tariff(
        tariff_id="guest",
        version=version,
        schedule=Schedule(zone="UTC", base=prices),
        availability=Money.of("USD", availability),
        proration=proration,
    )


def record(
    *,
    charged_wh: int = 0,
    discharged_wh: int = 0,
    start: int = 0,
    end: int = 1800,
    period: Period = PERIOD,
    site_id: str = "obis:4530303033",
    driver_id: str = "driver-80",
) -> TransferRecord:
    """A record connected from `start` to `end` seconds after the period's start."""
    return TransferRecord(
        period=period,
        start_s=period.start_s + start,
        end_s=period.start_s + end,
        site_to_vehicle_start_wh=10_000,
        site_to_vehicle_end_wh=10_000 + charged_wh,
        vehicle_to_site_start_wh=5_000,
        vehicle_to_site_end_wh=5_000 + discharged_wh,
        site_id=site_id,
        driver_id=driver_id,
    )


def transfer(body: TransferRecord, *, sequence: int = 1, cable: str = "cable-34") -> Transfer:
    """A record with a name."""
    return Transfer(key=TransferKey(CableId(cable), 1, sequence), record=body)


def usd(amount: str) -> Money:
    """Dollars."""
    return Money.of("USD", amount)
