"""What the cable node needs of its instruments: one small capability each.

Every port is implemented by a driver in `cable_node.drivers`, and every driver has a simulated twin
in `gridcord.simulation.instruments` that answers byte for byte like the instrument. One contract
suite (`tests/contract`) runs each driver on its twin.

Common to all ports:

* A call that fails raises an `InstrumentError`. Calling again tries again: a driver opens its line
  when it is first needed and after each loss. Pausing between attempts is the caller's business.
* Iterators end by raising; they never end quietly. Iterate anew to go on.
* `close` releases the line, may be called twice, and wakes whoever still waits with
  `InstrumentUnavailable`. A closed driver stays closed.
* Instants are seconds since 1970 UTC. They are the instrument's own where it has a clock that
  stamps values (a smart meter), else those of the clock given to the driver.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gridcord.metering.reading import Permission, Registers
from gridcord.units import Position, SiteId


class InstrumentError(Exception):
    """An instrument did not do what was asked of it."""


class InstrumentUnavailable(InstrumentError):
    """It cannot be reached now: unplugged, silent, out of radio range, session lost. Try again."""


class InstrumentRefused(InstrumentError):
    """It answered that it cannot, or it must not be used. Trying again without change is futile."""


class FrameError(InstrumentError):
    """What arrived is not an answer to what was asked; nothing of it was used."""


class ImplausibleReading(InstrumentError):
    """A well-formed answer that physics or an earlier answer contradicts; it was not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterIdentity:
    """Which measuring instrument answers.

    Args:
        model: Maker and type, such as "Eastron SDM230".
        serial_number: As engraved; another one is another meter, and its registers do not continue
            the last one's.
        step_wh: One count of its energy registers at best, Wh, >= 1.
    """

    model: str
    serial_number: str
    step_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteIdentity:
    """Which site an instrument of the house belongs to.

    Args:
        site_id: The identity to use.
        aliases: Other identities that the same instrument tells, each of another scheme.
        step_wh: One count of its registers, Wh, >= 1.
        measures_export: It has a register for energy given to the grid.
    """

    site_id: SiteId
    aliases: tuple[SiteId, ...] = ()
    step_wh: int = 1
    measures_export: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSample:
    """Power at an instant.

    Args:
        at_s: Seconds since 1970 UTC.
        power_w: + from the grid into the site.
    """

    at_s: float
    power_w: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactorState:
    """What the contactor does.

    Args:
        closed: Current can flow, in either direction.
        vehicle_present: A vehicle is at the plug.
        fault: Why the board refuses to close, a word of its protocol; None when it does not.
        current_limit_a: Current that the control pilot offers, A.
    """

    closed: bool
    vehicle_present: bool
    fault: str | None = None
    current_limit_a: int = 0


class CableMeter(Protocol):
    """The calibrated meter in the cable. Import is socket towards vehicle, export the other way."""

    async def identify(self) -> MeterIdentity:
        """Say which meter answers, after checking that it measures both directions.

        Raises:
            InstrumentRefused: It lacks an export register or a signed power.
            InstrumentError: See the class raised.
        """
        ...

    async def read(self) -> Registers:
        """Read both registers and the power, all of one moment; meant to be called each second.

        Raises:
            ImplausibleReading: The values contradict the ones before; the next ones may not.
            InstrumentRefused: It shows that its power has no sign.
            InstrumentError: See the class raised.
        """
        ...

    async def close(self) -> None:
        """Release the line."""
        ...


class SiteMeter(Protocol):
    """The house's smart meter, read on the spot. Import is grid towards site."""

    @property
    def power_interval_s(self) -> float:
        """Shortest time between two values of `power` that makes sense, seconds."""
        ...

    async def identify(self) -> SiteIdentity:
        """Say which site this is.

        Raises:
            InstrumentRefused: It does not say who it is.
            InstrumentError: See the class raised.
        """
        ...

    def readings(self) -> AsyncGenerator[Registers, None]:
        """Registers as the meter tells them, each stamped by the meter itself, in order.

        Depending on the meter each telegram (1 to 10 s), or the values at :00 and :30 only.
        """
        ...

    async def power(self) -> PowerSample:
        """Power now, at most one `power_interval_s` old; waits when asked more often."""
        ...

    async def history(self, since_s: float) -> Sequence[Registers]:
        """Registers that the meter remembers from `since_s` on, oldest first; often empty."""
        ...

    async def close(self) -> None:
        """Release the line."""
        ...


class HomeEnergy(Protocol):
    """The house's energy manager: what the appliances used."""

    async def identify(self) -> SiteIdentity:
        """Say which manager this is.

        Raises:
            InstrumentRefused: It does not say who it is, or measures no consumption.
            InstrumentError: See the class raised.
        """
        ...

    async def read(self) -> Registers:
        """Consumption as `import_wh`; `export_wh` is None; `power_w` is what it uses now."""
        ...

    async def close(self) -> None:
        """Release the line."""
        ...


class Positioning(Protocol):
    """Where the cable is."""

    def fixes(self) -> AsyncGenerator[Position, None]:
        """Positions that several consistent fixes agree on, with accuracy and the time of the fix.

        Waits as long as there is none. Never a source of time.
        """
        ...

    async def close(self) -> None:
        """Release the line."""
        ...


class Contactor(Protocol):
    """Lets current flow, or not.

    The control pilot has no direction: CHARGE_ONLY closes like BIDIRECTIONAL, and the caller opens
    on a reverse-power trip (`cable_node.reverse_power`).
    """

    async def command(self, permission: Permission) -> None:
        """Close for any permission but NONE, which opens. Saying it twice changes nothing.

        Closing happens when the vehicle asks for it.
        """
        ...

    async def state(self) -> ContactorState:
        """Ask the board."""
        ...

    async def heartbeat(self) -> bool:
        """Tell the board's watchdog that we live, more often than its period.

        Returns:
            False when the board had given up on us since the last beat; it is told that we are
            back, and the last command is given again.
        """
        ...

    async def close(self) -> None:
        """Open the contactor if the line still works, and release the line."""
        ...


class Signer(Protocol):
    """Holds the cable's private key."""

    @property
    def algorithm(self) -> str:
        """Curve and hash by OCMF's name, such as `ECDSA-secp256r1-SHA256`."""
        ...

    @property
    def public_key_der(self) -> bytes:
        """SubjectPublicKeyInfo (RFC 5480), DER."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign with SHA-256; the answer is a DER `Ecdsa-Sig-Value` (RFC 3279)."""
        ...
