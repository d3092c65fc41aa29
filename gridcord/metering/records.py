"""What a cable writes into its journal: the records that everything is paid and argued from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gridcord.metering.matching import Moved, gap_uncertainty_wh
from gridcord.metering.reading import ClockState, ReadingQuality, SiteReading
from gridcord.metering.verdict import StatedMatch
from gridcord.units import Period, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRecord:
    """Energy of one cable in one period, or in the connected part of it (patent S812, S822).

    Args:
        period: The period.
        start_s: Connected part from here, seconds since 1970 UTC, inclusive.
        end_s: To here, exclusive; start_s < end_s, both within the period.
        site_to_vehicle_start_wh: Cumulative register towards the vehicle at start_s, Wh.
        site_to_vehicle_end_wh: The same at end_s; not less.
        vehicle_to_site_start_wh: Cumulative register towards the site at start_s, Wh.
        vehicle_to_site_end_wh: The same at end_s; not less.
        step_wh: One count of the registers, Wh.
        quality: How far the values can be trusted.
        missing_s: Seconds of the connected part that were not measured.
        site_id: The smart meter's identity, else the HEMS's; empty when neither can be read.
        hems_id: The HEMS's identity; empty without one.
        position: Where the cable was at the end; None without a fix.
        vehicle_id: The vehicle; empty when not known.
        driver_id: The driver; empty when not known.
        clock_state: What the clock was worth.
        boot_id: The boot during which it was measured.
        end_monotonic_ns: Monotonic time of end_s in that boot.
        fiscal_record: OCMF text of the same values; empty before it is signed.
        final: The session ended with this record (patent S822).
    """

    period: Period
    start_s: int
    end_s: int
    site_to_vehicle_start_wh: int
    site_to_vehicle_end_wh: int
    vehicle_to_site_start_wh: int
    vehicle_to_site_end_wh: int
    step_wh: int = 1
    quality: ReadingQuality = ReadingQuality.COMPLETE
    missing_s: int = 0
    site_id: str = ""
    hems_id: str = ""
    position: Position | None = None
    vehicle_id: str = ""
    driver_id: str = ""
    clock_state: ClockState = ClockState.SYNCED
    boot_id: str = ""
    end_monotonic_ns: int = 0
    fiscal_record: str = ""
    final: bool = False

    @property
    def site_to_vehicle_wh(self) -> int:
        """Energy charged, Wh, >= 0."""
        return self.site_to_vehicle_end_wh - self.site_to_vehicle_start_wh

    @property
    def vehicle_to_site_wh(self) -> int:
        """Energy discharged, Wh, >= 0."""
        return self.vehicle_to_site_end_wh - self.vehicle_to_site_start_wh

    @property
    def transferred_wh(self) -> int:
        """Net energy, Wh: + into the vehicle, - out of it (the patent's transmission power)."""
        return self.site_to_vehicle_wh - self.vehicle_to_site_wh

    @property
    def connected_s(self) -> int:
        """Seconds connected in the period."""
        return self.end_s - self.start_s

    @property
    def moved(self) -> Moved:
        """Net energy as a matcher takes it, with what a gap at a boundary makes of it."""
        if self.quality is not ReadingQuality.ESTIMATED:
            return Moved(self.transferred_wh)
        unmeasured_s = min(self.missing_s, self.connected_s)
        return Moved(self.transferred_wh, gap_uncertainty_wh(unmeasured_s=unmeasured_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteObservation:
    """What the site's instruments said of one period, and what the cable concludes (S814-S820).

    Args:
        period: The period.
        site_id: The site.
        readings: Readings of the period, one per source.
        transferred_wh: Energy through this cable as compared, Wh, + into the vehicle.
        match: The conclusion.
    """

    period: Period
    site_id: str
    readings: tuple[SiteReading, ...]
    transferred_wh: int
    match: StatedMatch


class CableEventKind(StrEnum):
    """What happened at a cable."""

    PLUGGED = "PLUGGED"
    UNPLUGGED = "UNPLUGGED"
    CONTACTOR_OPENED = "CONTACTOR_OPENED"
    CONTACTOR_CLOSED = "CONTACTOR_CLOSED"
    REVERSE_POWER_TRIPPED = "REVERSE_POWER_TRIPPED"
    TAMPERED = "TAMPERED"
    CLOCK_STEPPED = "CLOCK_STEPPED"
    METER_SWAPPED = "METER_SWAPPED"
    EQUIPMENT_LIMIT_REACHED = "EQUIPMENT_LIMIT_REACHED"
    SEQUENCE_REGRESSED = "SEQUENCE_REGRESSED"
    INSTRUMENT_LOST = "INSTRUMENT_LOST"
    INSTRUMENT_FOUND = "INSTRUMENT_FOUND"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetLoading:
    """Loading of the equipment that feeds a site (patent: equipment information).

    Args:
        asset_id: The transformer or substation.
        loading_percent: Percent of its rating, finite; negative when power flows to the grid.
        rated_va: Rating, VA; None when not known.
        measured_s: When, seconds since 1970 UTC.
    """

    asset_id: str
    loading_percent: float
    measured_s: float
    rated_va: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CableEvent:
    """Something happened at a cable.

    Args:
        kind: What.
        at_s: When, seconds since 1970 UTC.
        site_id: The site at that time; empty when not known.
        detail: For a person.
        asset_loading: With EQUIPMENT_LIMIT_REACHED: the loading.
    """

    kind: CableEventKind
    at_s: float
    site_id: str = ""
    detail: str = ""
    asset_loading: AssetLoading | None = None


class ProofOutcome(StrEnum):
    """What became of an active proof."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_POSSIBLE = "NOT_POSSIBLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRecord:
    """How a cable played a requested power pattern and what the site's meter said.

    Args:
        proof_id: The request.
        site_id: The site.
        outcome: What the cable concludes.
        cable_power: (milliseconds since 1970 UTC, W), + charging.
        meter_power: (milliseconds since 1970 UTC, W), + import.
        evidence_nats: Log likelihood ratio of the right meter against a wrong one.
        gain: Estimated share of the pattern that the meter saw.
        detail: For a person.
    """

    proof_id: str
    site_id: str
    outcome: ProofOutcome
    cable_power: tuple[tuple[int, int], ...] = field(default=())
    meter_power: tuple[tuple[int, int], ...] = field(default=())
    evidence_nats: float = 0.0
    gain: float = 0.0
    detail: str = ""


JournalEntry = TransferRecord | SiteObservation | CableEvent | ProofRecord
