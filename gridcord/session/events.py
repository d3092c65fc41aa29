"""What happens to a device's session. The shell turns frames, timers and journal writes into these.

Instants are seconds: `now_s` of the engines is the device's monotonic clock, `manager_time_s` and
`expire_s` are the manager's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridcord.metering.reading import Permission


class EndReason(StrEnum):
    """Why the manager ends a session."""

    SITE_BLOCKED = "SITE_BLOCKED"
    SHUTDOWN = "SHUTDOWN"  # of the manager; transfer goes on while the lease holds
    REQUESTED = "REQUESTED"  # by the driver or the aggregator


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A stream is open. The stream before it has ended and no event of it will come any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The stream has ended, for whatever reason.

    Args:
        retry_after_s: The manager asks for at least this pause, seconds, >= 0.
    """

    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed. Due at the instant that `deadline_s` names, harmless at any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcomed:
    """The manager answered the hello. Its directive is a `DirectiveReceived` after this.

    Args:
        fence: Of this session.
        committed_sequence: Last entry of this journal epoch that the manager has, 0 for none.
        manager_time_s: The manager's clock when it answered.
        window: Most entries that may be unconfirmed, >= 1.
    """

    fence: int
    committed_sequence: int
    manager_time_s: float
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """An entry is in the journal, signed and durable.

    Args:
        sequence: The number the journal gave it.
    """

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """The journal gave up entries past their retention; all of them were confirmed.

    Args:
        oldest_retained: The oldest entry it still holds; the next number when it is empty.
    """

    oldest_retained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked:
    """The manager has made durable what this session sent, up to and including an entry.

    Args:
        committed_sequence: That entry.
    """

    committed_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectiveReceived:
    """What the cable may do: a lease (patent: non-permission notification, instruction).

    Args:
        fence: Of the session that granted it.
        version: Rises with each directive of a session, from 1.
        permission: What may flow.
        reason: Why something is withheld, a stable code; empty otherwise.
        setpoint_w: Power wanted, + charging; None when the cable may choose.
        lease_s: How long it holds from receipt, seconds.
        expire_s: When it lapses by the manager's clock.
        charge_to_percent: With CHARGE_TO_SOC: state of charge to stop at.
    """

    fence: int
    version: int
    permission: Permission
    lease_s: float
    expire_s: float
    reason: str = ""
    setpoint_w: int | None = None
    charge_to_percent: float | None = None

    @property
    def may_discharge(self) -> bool:
        """Whether energy may leave the vehicle while this is in force."""
        return self.permission is Permission.BIDIRECTIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class EndReceived:
    """The manager asks to finish (patent: supply/reception end notification).

    Args:
        reason: Why.
    """

    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """The partial period that was asked for is in the journal, or there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceWelcomed:
    """The manager answered a resource's hello.

    Args:
        fence: Of this session.
        manager_time_s: The manager's clock when it answered.
        telemetry_interval_s: Send telemetry this often, seconds, > 0.
    """

    fence: int
    manager_time_s: float
    telemetry_interval_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SetpointReceived:
    """The power wanted of a resource: a lease.

    Args:
        fence: Of the session that granted it.
        version: The setpoint's number, rising.
        power_w: + charging, - discharging.
        lease_s: How long it holds from receipt, seconds.
        expire_s: When it lapses by the manager's clock.
        reason: Why, a stable code.
    """

    fence: int
    version: int
    power_w: int
    lease_s: float
    expire_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged:
    """What a resource can do now.

    Args:
        charge_limit_w: Most it can charge with, W, >= 0.
        discharge_limit_w: Most it can discharge with, W, >= 0.
        transfer_permitted: Its driver or owner permits transfer.
    """

    charge_limit_w: int
    discharge_limit_w: int
    transfer_permitted: bool


CableInput = (
    Connected
    | Disconnected
    | Tick
    | Welcomed
    | Produced
    | Pruned
    | Acked
    | DirectiveReceived
    | EndReceived
    | Flushed
)
ResourceInput = (
    Connected
    | Disconnected
    | Tick
    | ResourceWelcomed
    | SetpointReceived
    | LimitsChanged
    | EndReceived
)
