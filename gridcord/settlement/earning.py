"""What a driver earns by a half hour (patent figure 4).

Two parts. **Availability**: for being connected, also when nothing flows; at most once per cable
and period, however often it was plugged in. **Energy**: minus the transferred energy times the
unit price, so that the driver is paid for discharge and charged for charge.

Each part is computed exactly and rounded once, half to even, to one micro: the ledger's unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gridcord.metering.records import TransferRecord
from gridcord.settlement.rounding import half_even
from gridcord.settlement.schedule import Prices
from gridcord.settlement.tariff import Proration, Tariff
from gridcord.settlement.transfer import Transfer, TransferKey
from gridcord.units import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Earning:
    """What a driver earns by one record; negative is owed by the driver.

    Args:
        availability: For being connected, >= 0.
        energy: For the energy: + when discharged, - when charged.
        tariff: Name of the tariff version.
    """

    availability: Money
    energy: Money
    tariff: str

    @property
    def total(self) -> Money:
        """Both parts."""
        return self.availability + self.energy


def earning(
    *, record: TransferRecord, tariff: Tariff, paid_discharge_wh: int | None = None
) -> Earning:
    """The earning of a record that is the only one of its cable and period.

    Args:
        record: What the cable counted.
        tariff: The version that holds.
        paid_discharge_wh: How much of the discharge is paid, Wh, in [0, discharged]; None for all
            of it (see `caps`).
    """
    connected = _available(record.connected_s, record, tariff)
    return _earning(record, tariff, paid_discharge_wh, connected)


def period_earnings(
    *,
    transfers: Iterable[Transfer],
    tariff: Tariff,
    paid_discharge_wh: Mapping[TransferKey, int] | None = None,
) -> dict[TransferKey, Earning]:
    """The earnings of all records of one cable in one period.

    The records are taken by start; each earns the availability that the ones before it have not,
    so the parts of a period never add up to more than the whole. The order of the argument does
    not matter.

    Args:
        transfers: Of one cable and one period.
        tariff: The version that holds.
        paid_discharge_wh: How much of each record's discharge is paid, Wh; all of it where a
            record is not named.

    Raises:
        ValueError: Records of two cables or periods.
    """
    ordered = sorted(transfers, key=lambda each: (each.record.start_s, each.key))
    if len({(each.key.cable_id, each.period) for each in ordered}) > 1:
        message = "records of more than one cable or period"
        raise ValueError(message)
    paid = paid_discharge_wh or {}
    earnings, covered_s, until_s = {}, 0, 0
    for each in ordered:
        record = each.record
        before = _available(covered_s, record, tariff)
        covered_s += max(0, record.end_s - max(record.start_s, until_s))
        until_s = max(until_s, record.end_s)
        share = _available(covered_s, record, tariff) - before
        earnings[each.key] = _earning(record, tariff, paid.get(each.key), share)
    return earnings


def energy_amount(*, taken_wh: int, given_wh: int, prices: Prices) -> Money:
    """Given times its price minus taken times its price, rounded once to one micro.

    Args:
        taken_wh: Wh, >= 0.
        given_wh: Wh, >= 0.
        prices: Per kWh.
    """
    exact = given_wh * prices.given.micros_per_kwh - taken_wh * prices.taken.micros_per_kwh
    return Money(prices.taken.currency, half_even(exact, 1000))


def _earning(
    record: TransferRecord, tariff: Tariff, paid_wh: int | None, availability: Money
) -> Earning:
    discharged_wh = record.vehicle_to_site_wh
    energy = energy_amount(
        taken_wh=record.site_to_vehicle_wh,
        given_wh=discharged_wh if paid_wh is None else max(0, min(paid_wh, discharged_wh)),
        prices=tariff.schedule.at(record.period),
    )
    return Earning(availability=availability, energy=energy, tariff=tariff.name)


def _available(connected_s: int, record: TransferRecord, tariff: Tariff) -> Money:
    """What the first `connected_s` seconds of a period earn."""
    full, length_s = tariff.availability, record.period.length_s
    if tariff.proration is Proration.WHOLE_PERIOD:
        return full if connected_s > 0 else Money.zero(full.currency)
    return Money(full.currency, half_even(full.micros * min(connected_s, length_s), length_s))
