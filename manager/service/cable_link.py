"""The live session of one cable in this process: what goes out on its stream."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.chassis.failures import Failure
from gridcord.metering.proof_pattern import Plateau
from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading
from gridcord.session.events import DirectiveReceived, EndReason
from gridcord.session.manager import Decision
from gridcord.wire.session import directive_to_proto, end_reason_to_proto
from gridcord.wire.values import time_to_proto
from manager.domain.records.cable_session import CableIntroduction
from manager.domain.trust.permission import Granted
from manager.fleet import Linked, Outbox

SESSION_SUPERSEDED = "SESSION_SUPERSEDED"
SEQUENCE_GAP = "SEQUENCE_GAP"
STORE_FULL = "STORE_FULL"

_REFUSALS = {
    Decision.GAP: Failure(
        grpc.StatusCode.FAILED_PRECONDITION,
        SEQUENCE_GAP,
        "an entry is missing before this one: connect again and start from the welcome",
    ),
    Decision.FENCED: Failure(
        grpc.StatusCode.ABORTED, SESSION_SUPERSEDED, "another session of this cable took over"
    ),
    None: Failure(
        grpc.StatusCode.RESOURCE_EXHAUSTED, STORE_FULL, "the store takes nothing now: try later"
    ),
}


class CableLink(Linked):
    """A session of a cable.

    Args:
        introduction: What the cable said of itself.
        fence: Of the session.
        clone_suspected: The cable seems to exist twice.
    """

    def __init__(
        self, introduction: CableIntroduction, *, fence: int, clone_suspected: bool
    ) -> None:
        self.introduction = introduction
        self.device_id = introduction.cable_id
        self.fence = fence
        self.clone_suspected = clone_suspected
        self.asset_loading: AssetLoading | None = introduction.asset_loading
        self.granted: Granted | None = None
        self.observed_power_w: int | None = None
        self.observed_permission = Permission.NONE
        self.state_of_charge_percent: float | None = None
        self.committed_sequence = 0
        self.proving = False
        self.outbox: Outbox[pb.ConnectResponse, Failure | None] = Outbox()

    @property
    def site_id(self) -> str:
        """The site; empty when it is not identified."""
        return self.introduction.site_id

    def ack(self, committed_sequence: int) -> None:
        """Confirm entries; the latest number wins."""
        self.committed_sequence = committed_sequence
        self.outbox.put_latest(
            "ack",
            pb.ConnectResponse(ack=pb.Ack(committed_sequence_number=committed_sequence)),
        )

    def refuse(self, decision: Decision | None) -> None:
        """End it: GAP, FENCED, or None when the store cannot take entries now."""
        self.outbox.end(_REFUSALS[decision])

    def superseded(self) -> None:
        """Another session of the same cable took over."""
        self.outbox.end(_REFUSALS[Decision.FENCED])

    def direct(self, directive: DirectiveReceived, granted: Granted) -> None:
        """Send a directive."""
        self.granted = granted
        self.outbox.put_latest(
            "directive", pb.ConnectResponse(directive=directive_to_proto(directive))
        )

    def ask_to_end(self, reason: EndReason) -> None:
        """Ask the cable to flush the running period and close (patent S808)."""
        self.outbox.put_latest("end", pb.ConnectResponse(end=end_reason_to_proto(reason)))

    @property
    def can_prove(self) -> bool:
        """The site's meter gives power readings."""
        return self.introduction.can_prove_actively

    def ask_for_proof(self, proof_id: str, pattern: Sequence[Plateau], *, start_s: float) -> None:
        """Ask for the readings of a power pattern."""
        steps = [
            pb.ProofStep(
                power_w=plateau.power_w,
                duration_ms=round((plateau.end_s - plateau.start_s) * 1000),
            )
            for plateau in pattern
        ]
        end_s = start_s + sum(step.duration_ms for step in steps) / 1000
        request = pb.ActiveProofRequest(
            proof_id=proof_id, steps=steps, expire_time=time_to_proto(end_s)
        )
        self.outbox.put(pb.ConnectResponse(active_proof=request))

    def hand_over(self, access: pb.SiteAccess) -> None:
        """Hand over what the cable needs to read the site's meter."""
        self.outbox.put(pb.ConnectResponse(site_access=access))
