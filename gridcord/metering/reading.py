"""What instruments say: cumulative registers at an instant, and the values of a period."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridcord.units import Period, SiteId


class ReadingSource(StrEnum):
    """Who told of a reading."""

    SMART_METER = "SMART_METER"  # the site's smart meter, read by the cable
    HEMS = "HEMS"  # the site's home energy manager, read by the cable
    UTILITY = "UTILITY"  # the utility's own metering data


class ReadingQuality(StrEnum):
    """How far a period's value can be trusted."""

    COMPLETE = "COMPLETE"  # measured over the whole of it
    PARTIAL = "PARTIAL"  # part of it is missing
    ESTIMATED = "ESTIMATED"  # a value stands in for what was not measured


class ClockState(StrEnum):
    """What the clock that stamped a value was worth."""

    SYNCED = "SYNCED"  # disciplined by a time source now
    HOLDOVER = "HOLDOVER"  # was synchronised since boot, is not now
    UNKNOWN = "UNKNOWN"  # never since boot: only the monotonic clock means anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """Cumulative registers of one meter at one instant.

    Args:
        at_s: When the registers had these values, seconds since 1970 UTC by the meter's clock
            where it has one, else by ours.
        import_wh: Grid towards site (or socket towards vehicle), Wh, never falls.
        export_wh: The other way, Wh, never falls; None where the meter has no such register.
        step_wh: One count of the register, Wh, >= 1: the true value lies in [x, x + step).
        power_w: Signed power, + = import; None where the meter does not say.
        time_error_s: How far `at_s` may be off, seconds, >= 0: half the time from asking a meter
            without a clock to its answer.
    """

    at_s: float
    import_wh: int
    export_wh: int | None
    step_wh: int = 1
    power_w: int | None = None
    time_error_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReading:
    """What a site's instrument or the utility counted in one period.

    Args:
        site_id: The metering point.
        period: The period.
        source: Who told of it.
        import_wh: Taken from the grid, Wh, >= 0; None when not known.
        export_wh: Given to the grid, Wh, >= 0; None when not known (or no such register).
        consumption_wh: Used by the appliances that the source knows, the cable not among them,
            Wh, >= 0; None when not known.
        step_wh: Register step of the source, Wh; each value is a difference of two truncated
            registers and so within one step of the truth.
        quality: How far it can be trusted.
        revision: 0 for the first value of a period, higher for what replaces it.
    """

    site_id: SiteId
    period: Period
    source: ReadingSource
    import_wh: int | None = None
    export_wh: int | None = None
    consumption_wh: int | None = None
    step_wh: int = 1
    quality: ReadingQuality = ReadingQuality.COMPLETE
    revision: int = 0


class Verdict(StrEnum):
    """What comparing a transfer with the site's readings says."""

    MATCHED = "MATCHED"
    MISMATCHED = "MISMATCHED"
    INDETERMINATE = "INDETERMINATE"  # too little is known to tell


class Permission(StrEnum):
    """What may flow at a site, from least to most."""

    NONE = "NONE"
    CHARGE_TO_SOC = "CHARGE_TO_SOC"  # charge, but only to the state of charge the policy names
    CHARGE_ONLY = "CHARGE_ONLY"
    BIDIRECTIONAL = "BIDIRECTIONAL"
