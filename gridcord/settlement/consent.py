"""A host's consent: who may use the outlet, when, with how much power, and for what fee."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from gridcord.metering.records import TransferRecord
from gridcord.settlement.schedule import EVERY_DAY, Prices, Window, check_zone
from gridcord.units import Money

ALL_DAY = Window(from_min=0, to_min=24 * 60, weekdays=EVERY_DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a host has agreed to. Withdrawal is a time, never a deletion.

    Args:
        consent_id: Its name.
        site_id: The site.
        host_id: Who gave it and gets the fee.
        driver_ids: Who may; empty for anyone.
        zone: IANA name of the local time of `hours`.
        hours: When.
        max_power_w: Most power either way, W, > 0.
        fee: Paid to the host per kWh: `taken` for charge, `given` for discharge.
        connected_fee: Paid to the host for a whole period connected, pro rata.
        granted_s: From then on, seconds since 1970 UTC.
        expires_s: Until then; None without end.
        withdrawn_s: When the host withdrew it, with effect at once; None while in force.

    Raises:
        ValueError: No such zone, no power, or fees in two currencies or negative.
    """

    consent_id: str
    site_id: str
    host_id: str
    fee: Prices
    connected_fee: Money
    max_power_w: int
    driver_ids: frozenset[str] = frozenset()
    zone: str = "UTC"
    hours: tuple[Window, ...] = (ALL_DAY,)
    granted_s: int = 0
    expires_s: int | None = None
    withdrawn_s: int | None = None

    def __post_init__(self) -> None:
        check_zone(self.zone)
        fees = (self.fee.taken.micros_per_kwh, self.fee.given.micros_per_kwh)
        if self.max_power_w <= 0 or min(*fees, self.connected_fee.micros) < 0:
            message = f"consent {self.consent_id}: power is positive, fees are not negative"
            raise ValueError(message)
        if self.fee.taken.currency != self.connected_fee.currency:
            message = f"consent {self.consent_id}: fees in two currencies"
            raise ValueError(message)

    def allows(self, *, driver_id: str, at_s: int) -> bool:
        """Whether a driver may use the outlet at an instant, seconds since 1970 UTC."""
        if self.driver_ids and driver_id not in self.driver_ids:
            return False
        ends = (end for end in (self.expires_s, self.withdrawn_s) if end is not None)
        if at_s < self.granted_s or any(at_s >= end for end in ends):
            return False
        return any(window.holds(zone=self.zone, at_s=at_s) for window in self.hours)

    def covers_power(self, record: TransferRecord) -> bool:
        """Whether a record's energy is what `max_power_w` allows in its time, to 1 Wh."""
        most_wh = Fraction(self.max_power_w * record.connected_s, 3600) + record.step_wh
        return max(record.site_to_vehicle_wh, record.vehicle_to_site_wh) <= most_wh


def consent_for(*, consents: Iterable[Consent], record: TransferRecord) -> Consent | None:
    """The consent under which a record was made, decided at its start; None without one.

    Where several allow it, the one granted last counts, then the name.
    """
    fitting = [
        consent
        for consent in consents
        if consent.site_id == record.site_id
        and consent.allows(driver_id=record.driver_id, at_s=record.start_s)
    ]
    return max(fitting, key=lambda consent: (consent.granted_s, consent.consent_id), default=None)


def host_fee(
    *, consent: Consent, record: TransferRecord, paid_discharge_wh: int | None = None
) -> Money:
    """What the aggregator pays the host for a record, rounded once to one micro.

    Energy beyond the power agreed is paid all the same: the host did give it.

    Args:
        consent: Under which it was made.
        record: What the cable counted.
        paid_discharge_wh: How much of the discharge is paid, Wh; None for all of it. A host earns
            no more than the driver by energy that the meter cannot explain.
    """
    period = record.period
    discharged_wh = record.vehicle_to_site_wh if paid_discharge_wh is None else paid_discharge_wh
    energy = Fraction(
        record.site_to_vehicle_wh * consent.fee.taken.micros_per_kwh
        + discharged_wh * consent.fee.given.micros_per_kwh,
        1000,
    )
    connected = Fraction(consent.connected_fee.micros * record.connected_s, period.length_s)
    return Money(consent.connected_fee.currency, round(energy + connected))
