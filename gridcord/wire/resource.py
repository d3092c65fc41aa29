"""What both sides of a resource's session say, between messages and values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gridcord.api.manager.v1 import resource_session_service_pb2 as pb
from gridcord.session.effects import Outcome
from gridcord.session.events import EndReason, ResourceWelcomed, SetpointReceived
from gridcord.wire.readings import EnumMap
from gridcord.wire.values import WireError, time_from_proto, time_to_proto

MAX_POWER_W = 350_000
MAX_CAPACITY_WH = 10_000_000


class ResourceKind(StrEnum):
    """What a resource is."""

    VEHICLE = "VEHICLE"
    STATION = "STATION"
    BATTERY = "BATTERY"


_KIND = EnumMap(pb.ResourceKind, ResourceKind, "RESOURCE_KIND_")
_OUTCOME = EnumMap(pb.SetpointResult.Outcome, Outcome, "OUTCOME_")


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartureNeed:
    """What a driver needs and until when: a promise that dispatch keeps.

    Args:
        departure_s: When the vehicle leaves, seconds since 1970 UTC; None for never.
        departure_percent: State of charge to have then, in [0, 100].
        reserve_percent: State of charge never to go below, in [0, 100].
    """

    departure_s: float | None = None
    departure_percent: float = 0.0
    reserve_percent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceIntroduction:
    """What a resource says of itself when it connects.

    Args:
        resource_id: By the certificate.
        kind: What it is.
        cable_id: The cable it hangs on; empty for none.
        site_id: The site, for what hangs on no cable.
        area_id: Market area, for what hangs on no cable; empty for the default area.
        capacity_wh: Usable energy, Wh, > 0.
        need: What the driver needs.
        last_fence: Highest fence ever seen.
    """

    resource_id: str
    kind: ResourceKind
    cable_id: str = ""
    site_id: str = ""
    area_id: str = ""
    capacity_wh: int
    need: DepartureNeed = DepartureNeed()
    last_fence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """State of a resource.

    Args:
        measured_s: When it was so, seconds since 1970 UTC.
        transfer_permitted: The driver or the owner permits transfer.
        power_w: Power now, + charging.
        charge_limit_w: Most it can charge with now, W, >= 0.
        discharge_limit_w: Most it can discharge with now, W, >= 0.
        soc_percent: State of charge, in [0, 100].
        need: What the driver needs, when it changed.
    """

    measured_s: float
    transfer_permitted: bool
    power_w: int
    charge_limit_w: int
    discharge_limit_w: int
    soc_percent: float
    need: DepartureNeed | None = None


def need_to_proto(need: DepartureNeed) -> pb.DepartureNeed:
    """The message of a need."""
    return pb.DepartureNeed(
        departure_time=None if need.departure_s is None else time_to_proto(need.departure_s),
        departure_percent=need.departure_percent,
        reserve_percent=need.reserve_percent,
    )


def need_from_proto(message: pb.DepartureNeed) -> DepartureNeed:
    """A need; WireError for percentages outside [0, 100]."""
    departure, reserve = message.departure_percent, message.reserve_percent
    if not 0 <= departure <= 100 or not 0 <= reserve <= 100:
        text = f"departure_need: {departure} %, {reserve} %: not within 0 and 100"
        raise WireError(text)
    has_time = message.HasField("departure_time")
    return DepartureNeed(
        departure_s=time_from_proto(message.departure_time, field="departure_time")
        if has_time
        else None,
        departure_percent=departure,
        reserve_percent=reserve,
    )


def introduction_to_proto(value: ResourceIntroduction) -> pb.ResourceHello:
    """The message of an introduction."""
    return pb.ResourceHello(
        resource_id=value.resource_id,
        kind=_KIND.to_proto(value.kind),
        cable_id=value.cable_id,
        site_id=value.site_id,
        area_id=value.area_id,
        capacity_wh=value.capacity_wh,
        departure_need=need_to_proto(value.need),
        last_fence=value.last_fence,
    )


def introduction_from_proto(message: pb.ResourceHello, resource_id: str) -> ResourceIntroduction:
    """An introduction; the identity is the certificate's.

    Raises:
        WireError: Unknown kind, numbers out of bounds, texts too long.
    """
    kind = _KIND.from_proto(message.kind)
    if kind is None:
        text = f"kind: unknown number {message.kind}"
        raise WireError(text)
    if not 0 < message.capacity_wh <= MAX_CAPACITY_WH or not 0 <= message.last_fence < 2**62:
        text = f"capacity_wh {message.capacity_wh}, last_fence {message.last_fence}: out of bounds"
        raise WireError(text)
    if max(len(message.cable_id), len(message.site_id), len(message.area_id)) > 128:
        text = "cable_id, site_id, area_id: more than 128 characters"
        raise WireError(text)
    return ResourceIntroduction(
        resource_id=resource_id,
        kind=kind,
        cable_id=message.cable_id,
        site_id=message.site_id,
        area_id=message.area_id,
        capacity_wh=message.capacity_wh,
        need=need_from_proto(message.departure_need),
        last_fence=message.last_fence,
    )


def telemetry_to_proto(value: Telemetry) -> pb.Telemetry:
    """The message of a telemetry."""
    return pb.Telemetry(
        measure_time=time_to_proto(value.measured_s),
        transfer_permitted=value.transfer_permitted,
        power_w=value.power_w,
        charge_limit_w=value.charge_limit_w,
        discharge_limit_w=value.discharge_limit_w,
        state_of_charge_percent=value.soc_percent,
        departure_need=None if value.need is None else need_to_proto(value.need),
    )


def telemetry_from_proto(message: pb.Telemetry) -> Telemetry:
    """A telemetry.

    Raises:
        WireError: Powers or a state of charge that cannot be.
    """
    limits = message.charge_limit_w, message.discharge_limit_w
    if not all(0 <= limit <= MAX_POWER_W for limit in limits):
        text = f"limits {limits}: not within 0 and {MAX_POWER_W} W"
        raise WireError(text)
    soc = message.state_of_charge_percent
    if abs(message.power_w) > MAX_POWER_W or not 0 <= soc <= 100 or math.isnan(soc):
        text = f"power_w {message.power_w}, state_of_charge_percent {soc}: cannot be"
        raise WireError(text)
    return Telemetry(
        measured_s=time_from_proto(message.measure_time, field="measure_time"),
        transfer_permitted=message.transfer_permitted,
        power_w=message.power_w,
        charge_limit_w=message.charge_limit_w,
        discharge_limit_w=message.discharge_limit_w,
        soc_percent=soc,
        need=need_from_proto(message.departure_need)
        if message.HasField("departure_need")
        else None,
    )


def setpoint_to_proto(value: SetpointReceived) -> pb.Setpoint:
    """The message of a setpoint."""
    return pb.Setpoint(
        setpoint_number=value.version,
        fence=value.fence,
        power_w=value.power_w,
        expire_time=time_to_proto(value.expire_s),
        lease_ms=round(value.lease_s * 1000),
        reason=value.reason,
    )


def setpoint_from_proto(message: pb.Setpoint) -> SetpointReceived:
    """A setpoint; WireError for numbers out of bounds."""
    if message.setpoint_number < 1 or message.fence < 1 or message.lease_ms < 0:
        text = "setpoint: number and fence from 1, lease_ms from 0"
        raise WireError(text)
    if abs(message.power_w) > MAX_POWER_W:
        text = f"setpoint.power_w: {message.power_w}"
        raise WireError(text)
    return SetpointReceived(
        fence=message.fence,
        version=message.setpoint_number,
        power_w=message.power_w,
        lease_s=message.lease_ms / 1000,
        expire_s=time_from_proto(message.expire_time, field="setpoint.expire_time"),
        reason=message.reason,
    )


def resource_welcome_from_proto(message: pb.ResourceWelcome) -> ResourceWelcomed:
    """A welcome; WireError for numbers out of bounds."""
    if message.fence < 1 or message.telemetry_interval_ms < 1:
        text = "welcome: fence and telemetry_interval_ms from 1"
        raise WireError(text)
    return ResourceWelcomed(
        fence=message.fence,
        manager_time_s=time_from_proto(message.manager_time, field="welcome.manager_time"),
        telemetry_interval_s=message.telemetry_interval_ms / 1000,
    )


def result_to_proto(version: int, outcome: Outcome, detail: str = "") -> pb.SetpointResult:
    """The message of a result."""
    return pb.SetpointResult(
        setpoint_number=version, outcome=_OUTCOME.to_proto(outcome), detail=detail
    )


def outcome_from_proto(message: pb.SetpointResult) -> Outcome:
    """What became of a setpoint; an unknown outcome is a refusal."""
    return _OUTCOME.from_proto(message.outcome) or Outcome.REFUSED


def kind_to_proto(kind: ResourceKind) -> Any:
    """The number of a kind."""
    return _KIND.to_proto(kind)


def resource_end_reason(message: pb.ResourceEnd) -> EndReason:
    """Why the manager ends the session; an unknown reason is a request."""
    try:
        return EndReason(message.reason)
    except ValueError:
        return EndReason.REQUESTED
