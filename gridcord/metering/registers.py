"""From cumulative registers to the energy of periods, sample by sample in constant memory.

A register counts; the energy of a period is what it counted between two boundaries. Each boundary
is turned into whole watt-hours **once**, from the last sample at or before it and the first at or
after it, and both neighbours use that number: nothing drifts, and what one period gives away the
next has. Where the chain of registers breaks (another meter, a register that fell or leapt, a clock
that went back) the part is closed at the last good sample and the break is declared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from gridcord.metering.matching import gap_uncertainty_wh
from gridcord.metering.reading import ReadingQuality, ReadingSource, Registers, SiteReading
from gridcord.units import Period, SiteId


class RegisterBreak(StrEnum):
    """Why a chain of registers could not be continued."""

    METER_SWAP = "METER_SWAP"  # another meter answers
    BACKWARDS = "BACKWARDS"  # a register fell
    JUMP = "JUMP"  # a register rose faster than the connection can carry
    CLOCK_BACK = "CLOCK_BACK"  # a sample is not later than the one before
    SILENCE = "SILENCE"  # longer without a sample than energy may be spread over


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterLimits:
    """What a believable pair of samples looks like.

    Args:
        max_power_w: More than the connection can carry; a faster rise is a JUMP.
        max_gap_s: Samples further apart than this leave the time between unmeasured. One second
            apart at 3 kW an interpolated boundary is within 0.8 Wh.
        max_silence_s: Samples further apart than this do not belong together.
    """

    max_power_w: int = 30_000
    max_gap_s: float = 10.0
    max_silence_s: float = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The registers at one end of a part, in whole watt-hours.

    Args:
        at_s: Seconds since 1970 UTC.
        import_wh: Grid towards site (socket towards vehicle), Wh.
        export_wh: The other way, Wh; None where there is no such register.
        estimated: Interpolated between samples more than `max_gap_s` apart.
    """

    at_s: float
    import_wh: int
    export_wh: int | None
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodEnergy:
    """What a meter counted in a period, or in the part of it that was connected.

    Args:
        period: The period that holds both ends.
        start: Registers where the part begins; equals the end of the part before it, unless
            `broken_by` says why not.
        end: Registers where it ends.
        step_wh: One count of the register, Wh, >= 1.
        quality: COMPLETE when both ends of the period are measured; PARTIAL when the part covers
            less than the period; ESTIMATED when an end was interpolated across a gap.
        missing_s: Seconds of the period without samples: not connected, or in a gap. A gap between
            two measured ends costs no energy: the register went on counting.
        broken_by: Why this part does not continue the one before it; None when it does.
    """

    period: Period
    start: Boundary
    end: Boundary
    step_wh: int
    quality: ReadingQuality
    missing_s: float
    broken_by: RegisterBreak | None = None

    @property
    def import_wh(self) -> int:
        """Grid towards site (socket towards vehicle), Wh, >= 0."""
        return self.end.import_wh - self.start.import_wh

    @property
    def export_wh(self) -> int | None:
        """The other way, Wh, >= 0; None where there is no such register."""
        if self.start.export_wh is None or self.end.export_wh is None:
            return None
        return self.end.export_wh - self.start.export_wh

    @property
    def net_wh(self) -> int:
        """Import minus export, Wh; for a cable this is the transferred energy."""
        return self.import_wh - (self.export_wh or 0)

    @property
    def unmeasured_s(self) -> float:
        """Seconds between the two ends that lie in gaps, >= 0; what was not connected is none."""
        outside_s = self.period.length_s - (self.end.at_s - self.start.at_s)
        return max(0.0, self.missing_s - outside_s)

    @property
    def uncertain_wh(self) -> int:
        """How far the energy may be off by an end that was interpolated (one scale), Wh, >= 0."""
        if self.quality is not ReadingQuality.ESTIMATED:
            return 0
        return gap_uncertainty_wh(unmeasured_s=math.ceil(self.unmeasured_s))

    def reading(self, *, site_id: SiteId, source: ReadingSource) -> SiteReading:
        """The same as a site's reading."""
        return SiteReading(
            site_id=site_id,
            period=self.period,
            source=source,
            import_wh=self.import_wh,
            export_wh=self.export_wh,
            step_wh=self.step_wh,
            quality=self.quality,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accumulator:
    """Where the counting stands between two samples; constant size.

    Args:
        length_s: Seconds of a period, > 0.
        limits: What a believable pair of samples looks like.
        meter_id: The meter that was read last; None before the first sample or when not told.
        start: Where the open part begins; None before the first sample.
        last: The sample before.
        unsampled_s: Seconds of the open part that lie in gaps.
        broken_by: Why the open part does not continue an earlier one.
    """

    length_s: int
    limits: RegisterLimits = RegisterLimits()
    meter_id: str | None = None
    start: Boundary | None = None
    last: Registers | None = None
    unsampled_s: float = 0.0
    broken_by: RegisterBreak | None = None


Step = tuple[Accumulator, tuple[PeriodEnergy, ...]]


def feed(*, accumulator: Accumulator, sample: Registers, meter_id: str | None = None) -> Step:
    """Count one more sample.

    Args:
        accumulator: Where the counting stands.
        sample: The registers now.
        meter_id: The meter that said so, where it says who it is.

    Returns:
        Where the counting stands after it, and the periods (or parts) that it finished, in order.
    """
    last = accumulator.last
    if last is None:
        return _opened(accumulator, sample, meter_id, broken_by=None), ()
    if _repeats(last, sample) and meter_id == accumulator.meter_id:
        return accumulator, ()
    broken = _break_between(accumulator, last, sample, meter_id)
    if broken is None:
        return _continued(accumulator, last, sample)
    closed, part = close(accumulator=accumulator)
    return _opened(closed, sample, meter_id, broken_by=broken), () if part is None else (part,)


def close(*, accumulator: Accumulator) -> tuple[Accumulator, PeriodEnergy | None]:
    """End the open part at the last sample (a session ends, patent S822).

    Returns:
        An accumulator without an open part, and the part; None when it has no length.
    """
    last, start = accumulator.last, accumulator.start
    empty = Accumulator(length_s=accumulator.length_s, limits=accumulator.limits)
    if last is None or start is None or last.at_s <= start.at_s:
        return empty, None
    return empty, _part(accumulator, start, _at_sample(last), accumulator.unsampled_s, last.step_wh)


def period_energies(
    *,
    samples: Iterable[Registers],
    length_s: int,
    limits: RegisterLimits = RegisterLimits(),
) -> list[PeriodEnergy]:
    """All periods and parts of a run of samples of one meter, the last one closed."""
    accumulator = Accumulator(length_s=length_s, limits=limits)
    energies: list[PeriodEnergy] = []
    for sample in samples:
        accumulator, finished = feed(accumulator=accumulator, sample=sample)
        energies += finished
    part = close(accumulator=accumulator)[1]
    return energies if part is None else [*energies, part]


def interpolate(*, before: Registers, after: Registers, at_s: float) -> tuple[int, int | None]:
    """Registers at an instant between two samples: linear, truncated as a register truncates.

    Args:
        before: Last sample at or before the instant.
        after: First sample at or after it, registers not lower.
        at_s: The instant.

    Returns:
        Import and export, Wh; export None where either sample has none. Monotonic in `at_s`.
    """
    share = 0.0 if before.at_s >= after.at_s else (at_s - before.at_s) / (after.at_s - before.at_s)
    imported = before.import_wh + int((after.import_wh - before.import_wh) * share)
    if before.export_wh is None or after.export_wh is None:
        return imported, None
    return imported, before.export_wh + int((after.export_wh - before.export_wh) * share)


def _opened(
    accumulator: Accumulator,
    sample: Registers,
    meter_id: str | None,
    broken_by: RegisterBreak | None,
) -> Accumulator:
    return Accumulator(
        length_s=accumulator.length_s,
        limits=accumulator.limits,
        meter_id=meter_id,
        start=_at_sample(sample),
        last=sample,
        broken_by=broken_by,
    )


def _at_sample(sample: Registers) -> Boundary:
    return Boundary(at_s=sample.at_s, import_wh=sample.import_wh, export_wh=sample.export_wh)


def _repeats(last: Registers, sample: Registers) -> bool:
    return (last.at_s, last.import_wh, last.export_wh) == (
        sample.at_s,
        sample.import_wh,
        sample.export_wh,
    )


def _break_between(
    accumulator: Accumulator, last: Registers, sample: Registers, meter_id: str | None
) -> RegisterBreak | None:
    limits, seconds = accumulator.limits, sample.at_s - last.at_s
    if meter_id != accumulator.meter_id or (last.export_wh is None) != (sample.export_wh is None):
        return RegisterBreak.METER_SWAP
    if seconds <= 0:
        return RegisterBreak.CLOCK_BACK
    rises = (
        sample.import_wh - last.import_wh,
        (sample.export_wh or 0) - (last.export_wh or 0),
    )
    if min(rises) < 0:
        return RegisterBreak.BACKWARDS
    apart_s = seconds + last.time_error_s + sample.time_error_s  # at most
    if max(rises) > limits.max_power_w * apart_s / 3600 + max(last.step_wh, sample.step_wh):
        return RegisterBreak.JUMP
    return RegisterBreak.SILENCE if seconds > limits.max_silence_s else None


def _continued(accumulator: Accumulator, last: Registers, sample: Registers) -> Step:
    gap = sample.at_s - last.at_s > accumulator.limits.max_gap_s
    length_s, since_s, finished = accumulator.length_s, last.at_s, []
    boundary_s = (int(last.at_s // length_s) + 1) * length_s
    while boundary_s <= sample.at_s:
        end = _boundary(last, sample, boundary_s, gap=gap)
        unsampled_s = accumulator.unsampled_s + (boundary_s - since_s if gap else 0.0)
        assert accumulator.start is not None  # opened by the first sample
        finished.append(_part(accumulator, accumulator.start, end, unsampled_s, sample.step_wh))
        accumulator = replace(accumulator, start=end, unsampled_s=0.0, broken_by=None)
        since_s, boundary_s = boundary_s, boundary_s + length_s
    unsampled_s = accumulator.unsampled_s + (sample.at_s - since_s if gap else 0.0)
    return replace(accumulator, last=sample, unsampled_s=unsampled_s), tuple(finished)


def _boundary(last: Registers, sample: Registers, at_s: int, *, gap: bool) -> Boundary:
    imported, exported = interpolate(before=last, after=sample, at_s=at_s)
    return Boundary(
        at_s=at_s,
        import_wh=imported,
        export_wh=exported,
        estimated=gap and at_s != sample.at_s,
    )


def _part(
    accumulator: Accumulator, start: Boundary, end: Boundary, unsampled_s: float, step_wh: int
) -> PeriodEnergy:
    period = Period.containing(start.at_s, accumulator.length_s)
    outside_s = period.length_s - (end.at_s - start.at_s)
    if start.estimated or end.estimated:
        quality = ReadingQuality.ESTIMATED
    elif outside_s > 0:
        quality = ReadingQuality.PARTIAL
    else:
        quality = ReadingQuality.COMPLETE
    return PeriodEnergy(
        period=period,
        start=start,
        end=end,
        step_wh=step_wh,
        quality=quality,
        missing_s=outside_s + unsampled_s,
        broken_by=accumulator.broken_by,
    )
