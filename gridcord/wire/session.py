"""What both sides of a cable's session say, between messages and values."""

from __future__ import annotations

import math

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.session.events import DirectiveReceived, EndReason, Welcomed
from gridcord.wire.readings import EnumMap, permission_from_proto, permission_to_proto
from gridcord.wire.values import WireError, time_from_proto, time_to_proto

_END = EnumMap(pb.EndSession.Reason, EndReason, "REASON_")

MAX_LEASE_S = 86_400
SIGNATURE_DOMAIN = b"gridcord.journal.entry.v1"


def directive_to_proto(directive: DirectiveReceived) -> pb.Directive:
    """The message of a directive."""
    return pb.Directive(
        version=directive.version,
        fence=directive.fence,
        permission=permission_to_proto(directive.permission),
        reason=directive.reason,
        setpoint_w=directive.setpoint_w,
        expire_time=time_to_proto(directive.expire_s),
        lease_s=math.ceil(directive.lease_s),
        charge_to_percent=directive.charge_to_percent,
    )


def directive_from_proto(message: pb.Directive) -> DirectiveReceived:
    """A directive; an unknown permission is NONE, a lease is never longer than a day.

    Raises:
        WireError: Numbers out of bounds.
    """
    if message.version < 1 or message.fence < 1 or message.lease_s < 0:
        text = "directive: version and fence from 1, lease_s from 0"
        raise WireError(text)
    percent = message.charge_to_percent if message.HasField("charge_to_percent") else None
    if percent is not None and not 0 <= percent <= 100:
        text = f"directive.charge_to_percent: {percent}"
        raise WireError(text)
    return DirectiveReceived(
        fence=message.fence,
        version=message.version,
        permission=permission_from_proto(message.permission),
        reason=message.reason,
        setpoint_w=message.setpoint_w if message.HasField("setpoint_w") else None,
        lease_s=min(message.lease_s, MAX_LEASE_S),
        expire_s=time_from_proto(message.expire_time, field="directive.expire_time"),
        charge_to_percent=percent,
    )


def welcome_from_proto(message: pb.Welcome) -> tuple[Welcomed, DirectiveReceived | None]:
    """A welcome and the directive in it.

    Raises:
        WireError: Numbers out of bounds.
    """
    if message.fence < 1 or message.committed_sequence_number < 0 or message.window < 1:
        text = "welcome: fence and window from 1, committed_sequence_number from 0"
        raise WireError(text)
    welcomed = Welcomed(
        fence=message.fence,
        committed_sequence=message.committed_sequence_number,
        manager_time_s=time_from_proto(message.manager_time, field="welcome.manager_time"),
        window=message.window,
    )
    has_directive = message.HasField("directive")
    return welcomed, directive_from_proto(message.directive) if has_directive else None


def end_reason_to_proto(reason: EndReason) -> pb.EndSession:
    """The message of an end."""
    return pb.EndSession(reason=_END.to_proto(reason))


def end_reason_from_proto(message: pb.EndSession) -> EndReason:
    """Why the manager ends a session; an unknown reason is a request."""
    return _END.from_proto(message.reason) or EndReason.REQUESTED


def signed_bytes(*, cable_id: str, journal_epoch: int, sequence: int, body: bytes) -> bytes:
    """What the signature of an entry is over: its name for ever, and its body.

    The lengths are fixed or written out, so no two entries share these bytes.
    """
    name = cable_id.encode()
    return b"".join(
        (
            SIGNATURE_DOMAIN,
            len(name).to_bytes(2, "big"),
            name,
            journal_epoch.to_bytes(8, "big"),
            sequence.to_bytes(8, "big"),
            body,
        )
    )
