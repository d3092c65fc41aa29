"""Readings, matches and permissions between messages and values."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, Generic, TypeVar

from gridcord.api.types.v1 import types_pb2
from gridcord.metering.reading import (
    ClockState,
    Permission,
    ReadingQuality,
    ReadingSource,
    SiteReading,
    Verdict,
)
from gridcord.metering.records import AssetLoading
from gridcord.metering.verdict import StatedMatch
from gridcord.wire.values import (
    WireError,
    check_text,
    period_from_proto,
    period_to_proto,
    site_id_from_proto,
    time_from_proto,
    time_to_proto,
)

E = TypeVar("E", bound=StrEnum)

MAX_WH = 10**15  # above it no register of a house counts
MAX_TEXT = 1000


class EnumMap(Generic[E]):
    """The two names of one enumeration: PREFIX_NAME on the wire, NAME as a value.

    Args:
        wire: The generated enumeration.
        kind: The values; each must have a number on the wire.
        prefix: What the wire puts before a name.
    """

    def __init__(self, wire: Any, kind: type[E], prefix: str) -> None:
        self._to = {value: wire.Value(prefix + value.value) for value in kind}
        self._from = {number: value for value, number in self._to.items()}

    def to_proto(self, value: E) -> Any:
        """The number of a value, as the generated enumeration's type."""
        return self._to[value]

    def from_proto(self, number: int) -> E | None:
        """The value of a number; None when it is unspecified or a newer peer's."""
        return self._from.get(number)


_SOURCE = EnumMap(types_pb2.ReadingSource, ReadingSource, "READING_SOURCE_")
_QUALITY = EnumMap(types_pb2.ReadingQuality, ReadingQuality, "READING_QUALITY_")
_CLOCK = EnumMap(types_pb2.ClockState, ClockState, "CLOCK_STATE_")
_VERDICT = EnumMap(types_pb2.MatchVerdict, Verdict, "MATCH_VERDICT_")
_PERMISSION = EnumMap(types_pb2.Permission, Permission, "PERMISSION_")


def permission_to_proto(value: Permission) -> Any:
    """The number of a permission."""
    return _PERMISSION.to_proto(value)


def permission_from_proto(number: int) -> Permission:
    """A permission; what a newer peer may mean is treated as NONE."""
    return _PERMISSION.from_proto(number) or Permission.NONE


def verdict_to_proto(value: Verdict) -> Any:
    """The number of a verdict."""
    return _VERDICT.to_proto(value)


def verdict_from_proto(number: int) -> Verdict:
    """A verdict; an unknown one is INDETERMINATE."""
    return _VERDICT.from_proto(number) or Verdict.INDETERMINATE


def quality_to_proto(value: ReadingQuality) -> Any:
    """The number of a quality."""
    return _QUALITY.to_proto(value)


def quality_from_proto(number: int) -> ReadingQuality:
    """A quality; an unknown one is ESTIMATED."""
    return _QUALITY.from_proto(number) or ReadingQuality.ESTIMATED


def clock_state_to_proto(value: ClockState) -> Any:
    """The number of a clock state."""
    return _CLOCK.to_proto(value)


def clock_state_from_proto(number: int) -> ClockState:
    """A clock state; an unknown one is UNKNOWN."""
    return _CLOCK.from_proto(number) or ClockState.UNKNOWN


def reading_to_proto(
    reading: SiteReading, *, receive_s: float | None = None
) -> types_pb2.SiteReading:
    """The message of a reading."""
    return types_pb2.SiteReading(
        site_id=reading.site_id,
        period=period_to_proto(reading.period),
        source=_SOURCE.to_proto(reading.source),
        import_wh=reading.import_wh,
        export_wh=reading.export_wh,
        consumption_wh=reading.consumption_wh,
        step_wh=reading.step_wh,
        quality=quality_to_proto(reading.quality),
        revision=reading.revision,
        receive_time=None if receive_s is None else time_to_proto(receive_s),
    )


def _energy(message: types_pb2.SiteReading, name: str, field: str) -> int | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    value = int(getattr(message, name))
    if not 0 <= value <= MAX_WH:
        text = f"{field}.{name}: {value} Wh is no energy of one period"
        raise WireError(text)
    return value


def reading_from_proto(message: types_pb2.SiteReading, *, field: str = "reading") -> SiteReading:
    """A reading.

    Raises:
        WireError: No source, energies out of bounds, or a bad site or period.
    """
    source = _SOURCE.from_proto(message.source)
    if source is None:
        text = f"{field}.source: unknown number {message.source}"
        raise WireError(text)
    step_wh = message.step_wh or 1
    if not 1 <= step_wh <= 1_000_000 or message.revision < 0:
        text = f"{field}: step of {step_wh} Wh, revision {message.revision}"
        raise WireError(text)
    return SiteReading(
        site_id=site_id_from_proto(message.site_id, field=f"{field}.site_id"),
        period=period_from_proto(message.period, field=f"{field}.period"),
        source=source,
        import_wh=_energy(message, "import_wh", field),
        export_wh=_energy(message, "export_wh", field),
        consumption_wh=_energy(message, "consumption_wh", field),
        step_wh=step_wh,
        quality=quality_from_proto(message.quality),
        revision=message.revision,
    )


def match_to_proto(match: StatedMatch) -> types_pb2.Match:
    """The message of a match."""
    return types_pb2.Match(
        verdict=verdict_to_proto(match.verdict),
        expected_change_wh=match.expected_change_wh,
        observed_change_wh=match.observed_change_wh,
        uncertainty_wh=match.uncertainty_wh,
        evidence_nats=match.evidence_nats,
        reason=match.reason,
        sentence=match.sentence[:MAX_TEXT],
        suspect=match.suspect,
        fault=match.fault,
    )


def match_from_proto(message: types_pb2.Match, *, field: str = "match") -> StatedMatch:
    """A match; WireError for evidence that is not finite or texts without end."""
    evidence = message.evidence_nats if message.HasField("evidence_nats") else None
    if evidence is not None and not math.isfinite(evidence):
        text = f"{field}.evidence_nats: not finite"
        raise WireError(text)
    check_text(message.sentence, most=MAX_TEXT, field=f"{field}.sentence")
    check_text(message.reason, most=64, field=f"{field}.reason")
    return StatedMatch(
        verdict=verdict_from_proto(message.verdict),
        reason=message.reason,
        sentence=message.sentence,
        expected_change_wh=message.expected_change_wh
        if message.HasField("expected_change_wh")
        else None,
        observed_change_wh=message.observed_change_wh
        if message.HasField("observed_change_wh")
        else None,
        uncertainty_wh=message.uncertainty_wh if message.HasField("uncertainty_wh") else None,
        evidence_nats=evidence,
        suspect=message.suspect,
        fault=message.fault,
    )


def asset_loading_to_proto(loading: AssetLoading) -> types_pb2.AssetLoading:
    """The message of a loading."""
    return types_pb2.AssetLoading(
        asset_id=loading.asset_id,
        loading_percent=loading.loading_percent,
        rated_va=loading.rated_va,
        measure_time=time_to_proto(loading.measured_s),
    )


def asset_loading_from_proto(
    message: types_pb2.AssetLoading, *, field: str = "asset_loading"
) -> AssetLoading:
    """A loading; WireError without an asset, or for a share that is not finite."""
    check_text(message.asset_id, most=128, field=f"{field}.asset_id")
    if not message.asset_id or not math.isfinite(message.loading_percent):
        text = f"{field}: an asset id and a finite percentage are needed"
        raise WireError(text)
    return AssetLoading(
        asset_id=message.asset_id,
        loading_percent=message.loading_percent,
        measured_s=time_from_proto(message.measure_time, field=f"{field}.measure_time"),
        rated_va=message.rated_va if message.HasField("rated_va") else None,
    )
