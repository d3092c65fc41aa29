"""The live session of one resource in this process: its state, and what goes out to it."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from gridcord.api.manager.v1 import resource_session_service_pb2 as pb
from gridcord.chassis.failures import Failure
from gridcord.metering.reading import Permission
from gridcord.session.effects import Outcome
from gridcord.session.events import SetpointReceived
from gridcord.wire.resource import DepartureNeed, ResourceIntroduction, Telemetry, setpoint_to_proto
from manager.domain.records.resource import ResourceState
from manager.domain.trust.permission import Granted
from manager.fleet import Linked, Outbox
from manager.service.cable_link import SESSION_SUPERSEDED

_REFUSAL_LEASES = 2.0
_STALE_TELEMETRY_LEASES = 2.0  # a resource that is silent for so many leases is not counted on


class ResourceLink(Linked):
    """A session of a resource.

    Args:
        introduction: What it said of itself.
        fence: Of the session.
        area_id: Its market area.
        now: The manager's clock, seconds since 1970 UTC.
        granted: What may flow at its site now; None when its cable is not connected.
        site_id: The site of its cable now; empty when not known.
        lease_s: How long setpoints hold, seconds.
    """

    def __init__(
        self,
        introduction: ResourceIntroduction,
        *,
        fence: int,
        area_id: str,
        now: Callable[[], float],
        granted: Callable[[], Granted | None],
        site_id: Callable[[], str],
        lease_s: float,
    ) -> None:
        self.introduction = introduction
        self.device_id = introduction.resource_id
        self.fence = fence
        self.area_id = area_id
        self.start_s = now()
        self.telemetry: Telemetry | None = None
        self.setpoint: SetpointReceived | None = None
        self.need: DepartureNeed = introduction.need
        self.outbox: Outbox[pb.DispatchResponse, Failure | None] = Outbox()
        self.pinned_w: int | None = None
        self._now = now
        self._granted = granted
        self._site_id = site_id
        self._lease_s = lease_s
        self._heard_s = now()
        self._refused_until_s = 0.0
        self._version = 0

    @property
    def cable_id(self) -> str:
        """The cable it hangs on; empty for none."""
        return self.introduction.cable_id

    @property
    def own_site_id(self) -> str:
        """The site it named for itself; empty for none, and on a cable, whose site counts there."""
        return "" if self.cable_id else self.introduction.site_id

    @property
    def granted(self) -> Granted:
        """What may flow; nothing while the cable it hangs on is not connected."""
        return self._granted() or Granted(permission=Permission.NONE, reason="CABLE_NOT_CONNECTED")

    def told(self, telemetry: Telemetry) -> None:
        """It told its state; who permits transfer again is asked again."""
        before, self.telemetry = self.telemetry, telemetry
        if telemetry.transfer_permitted and before and not before.transfer_permitted:
            self._refused_until_s = 0.0
        self._heard_s = self._now()
        if telemetry.need is not None:
            self.need = telemetry.need

    def answered(self, version: int, outcome: Outcome) -> None:
        """It answered a setpoint: after a refusal it is not counted on for some leases."""
        if outcome is Outcome.REFUSED and version == self._version:
            self._refused_until_s = self._now() + _REFUSAL_LEASES * self._lease_s

    def state(self) -> ResourceState | None:
        """What it is and can do now; None when it has not told, or not for long."""
        telemetry = self.telemetry
        if telemetry is None or self._now() - self._heard_s > self._lease_s * (
            _STALE_TELEMETRY_LEASES
        ):
            return None
        granted = self.granted
        return ResourceState(
            resource_id=self.device_id,
            area_id=self.area_id,
            permission=granted.permission,
            charge_to_percent=granted.charge_to_percent,
            transfer_permitted=telemetry.transfer_permitted,
            refused=self._now() < self._refused_until_s,
            cabled=bool(self.cable_id),
            cable_id=self.cable_id,
            site_id=self.introduction.site_id or self._site_id(),
            power_w=telemetry.power_w,
            charge_limit_w=telemetry.charge_limit_w,
            discharge_limit_w=telemetry.discharge_limit_w,
            soc_percent=telemetry.soc_percent,
            capacity_wh=self.introduction.capacity_wh,
            departure_s=self.need.departure_s,
            departure_percent=self.need.departure_percent,
            reserve_percent=self.need.reserve_percent,
        )

    def steer(self, power_w: int, *, lease_s: float, reason: str) -> None:
        """Send a setpoint; a proof that is being played comes before the market's wish."""
        if self.pinned_w is not None:
            power_w, reason = self.pinned_w, "ACTIVE_PROOF"
        self._version += 1
        self.setpoint = SetpointReceived(
            fence=self.fence,
            version=self._version,
            power_w=power_w,
            lease_s=lease_s,
            expire_s=self._now() + lease_s,
            reason=reason,
        )
        self.outbox.put_latest(
            "setpoint", pb.DispatchResponse(setpoint=setpoint_to_proto(self.setpoint))
        )

    def superseded(self) -> None:
        """Another session of the same resource took over."""
        self.outbox.end(
            Failure(
                grpc.StatusCode.ABORTED,
                SESSION_SUPERSEDED,
                "another session of this resource took over",
            )
        )

    def ask_to_end(self, reason: str) -> None:
        """Ask it to finish."""
        self.outbox.put_latest("end", pb.DispatchResponse(end=pb.ResourceEnd(reason=reason)))
