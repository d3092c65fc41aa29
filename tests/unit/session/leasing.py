"""The world around a lease: grants that are late, repeated, out of order, of managers long gone.

Time passes in whole seconds. The true time is the device's monotonic clock; the manager's clock is
`OFFSET` ahead, which the device has to find out. Every grant ever issued may arrive at any later
moment, any number of times, in any order: more than any network does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from gridcord.metering.reading import Permission
from gridcord.session import cable, resource
from gridcord.session.effects import FallBack, Obey, SetPower
from gridcord.session.events import (
    Connected,
    DirectiveReceived,
    Disconnected,
    LimitsChanged,
    ResourceWelcomed,
    SetpointReceived,
    Tick,
    Welcomed,
)
from gridcord.session.lease import Lease
from tests.unit.session.exploration import Broken, Step

OFFSET = 1_000.0
LEASE_S = {True: 2.0, False: 1.0}  # a word that stops may lapse before the one it stops


class Device(Protocol):
    """One of the two devices that obey leases."""

    engine: Any

    def boot(self, fence: int) -> Any:
        """The engine's state after a start that remembers a fence."""
        ...

    def welcome(self, fence: int, manager_time_s: float) -> Any:
        """The event of a welcome."""
        ...

    def grant(self, fence: int, version: int, active: bool, expire_s: float) -> Any:
        """The event of a grant that lets energy out of the battery, or none."""
        ...

    def acting(self, state: Any, effects: Any, before: Any) -> Any:
        """The grant by which energy leaves the battery, after some effects; None when none does."""
        ...

    def fence(self, state: Any) -> int:
        """The highest fence that is durable."""
        ...


class CableDevice:
    """A cable: the hardware follows Obey and FallBack."""

    def __init__(self, engine: Any = cable) -> None:
        self.engine = engine

    def boot(self, fence: int) -> Any:
        """Offline, an empty journal."""
        return self.engine.start(durable=cable.Durable(journal_epoch=1, last_fence=fence))

    def welcome(self, fence: int, manager_time_s: float) -> Any:
        """As the manager says it."""
        return Welcomed(fence=fence, committed_sequence=0, manager_time_s=manager_time_s, window=1)

    def grant(self, fence: int, version: int, active: bool, expire_s: float) -> Any:
        """BIDIRECTIONAL, or NONE."""
        permission = Permission.BIDIRECTIONAL if active else Permission.NONE
        return DirectiveReceived(
            fence=fence,
            version=version,
            permission=permission,
            lease_s=LEASE_S[active],
            expire_s=expire_s,
        )

    def acting(self, state: Any, effects: Any, before: Any) -> Any:
        """The last directive obeyed, while it lets energy out."""
        for effect in effects:
            match effect:
                case Obey():
                    before = effect.directive if effect.directive.may_discharge else None
                case FallBack():
                    before = None
        return before

    def fence(self, state: Any) -> int:
        """As the journal has it."""
        return int(state.durable.last_fence)


class ResourceDevice:
    """A resource: the hardware follows SetPower."""

    def __init__(self, engine: Any = resource) -> None:
        self.engine = engine

    def boot(self, fence: int) -> Any:
        """Offline, able to charge and discharge."""
        able = LimitsChanged(charge_limit_w=9, discharge_limit_w=9, transfer_permitted=True)
        return self.engine.ResourceSession(lease=Lease(fence=fence), limits=able)

    def welcome(self, fence: int, manager_time_s: float) -> Any:
        """As the manager says it."""
        return ResourceWelcomed(
            fence=fence, manager_time_s=manager_time_s, telemetry_interval_s=60.0
        )

    def grant(self, fence: int, version: int, active: bool, expire_s: float) -> Any:
        """Discharge with 5 W, or nothing."""
        return SetpointReceived(
            fence=fence,
            version=version,
            power_w=-5 if active else 0,
            lease_s=LEASE_S[active],
            expire_s=expire_s,
        )

    def acting(self, state: Any, effects: Any, before: Any) -> Any:
        """The setpoint in force, while the last SetPower was not 0 W."""
        power_w = before.power_w if before else 0
        for effect in effects:
            if isinstance(effect, SetPower):
                power_w = effect.power_w
        return (state.lease.grant or before) if power_w else None

    def fence(self, state: Any) -> int:
        """As the resource has noted it."""
        return int(state.lease.fence)


class World(NamedTuple):
    """Everything. Instants are true seconds."""

    now_s: int
    device: Any
    acting: Any = None
    newest: tuple[int, int] = (0, 0)  # (fence, version) of all grants taken in
    hello_waits: bool = False
    welcome: Any = None
    fences: int = 0  # sessions ever granted
    issued: tuple[Any, ...] = ()
    faults: int = 0


class Leasing:
    """The model: when may energy leave the battery?"""

    def __init__(self, device: Device, *, end_s: int = 4, grants: int = 3, faults: int = 2) -> None:
        self.device = device
        self.end_s, self.grants, self.faults = end_s, grants, faults
        self._advanced: dict[tuple[Any, Any, int], tuple[Any, Any]] = {}

    def initial(self) -> World:
        """A device that was just started."""
        return World(0, self.device.boot(0))

    def _feed(self, world: World, event: Any) -> World:
        question = world.device, event, world.now_s
        if question not in self._advanced:
            self._advanced[question] = self.device.engine.advance(
                state=world.device, event=event, now_s=float(world.now_s)
            )
        state, effects = self._advanced[question]
        acting = self.device.acting(state, effects, world.acting)
        return world._replace(device=state, acting=acting)

    def steps(self, world: World) -> Iterator[Step[World]]:
        """All that can happen next."""
        if world.now_s < self.end_s:
            later = world._replace(now_s=world.now_s + 1)
            yield Step("a second passes", self._feed(later, Tick()))
        if world.device.phase == "OFFLINE" and world.fences < self.faults + 1:
            asked = self._feed(world, Connected())
            yield Step("connect", asked._replace(hello_waits=True, welcome=None))
        if world.hello_waits:
            yield Step("hello served", self._serve(world))
        if world.welcome is not None:
            greeted = self._feed(world._replace(welcome=None), world.welcome)
            if self.device.fence(greeted.device) < self.device.fence(world.device):
                raise Broken("the fence falls")
            yield Step("welcome", greeted)
        yield from self._grants(world)
        if world.faults < self.faults:
            cut = world._replace(faults=world.faults + 1, hello_waits=False, welcome=None)
            if world.device.phase != "OFFLINE":
                yield Step("link breaks", self._feed(cut, Disconnected()))
            booted = self.device.boot(self.device.fence(world.device))
            yield Step("process dies", cut._replace(device=booted, acting=None))

    def _serve(self, world: World) -> World:
        fence = world.fences + 1
        welcome = self.device.welcome(fence, world.now_s + OFFSET)
        return world._replace(hello_waits=False, welcome=welcome, fences=fence)

    def _grants(self, world: World) -> Iterator[Step[World]]:
        if len(world.issued) < self.grants:
            for fence in range(1, world.fences + 1):  # also by managers that were superseded
                version = 1 + sum(grant.fence == fence for grant in world.issued)
                for active in (True, False):
                    expire_s = world.now_s + OFFSET + LEASE_S[active]
                    grant = self.device.grant(fence, version, active, expire_s)
                    label = f"grant {fence}.{version} {'on' if active else 'off'}"
                    yield Step(label, world._replace(issued=(*world.issued, grant)))
        for grant in world.issued:
            label = f"{grant.fence}.{grant.version} arrives"
            # A whim of the network, hence a fault: it may happen again without end.
            yield Step(label, self._arrive(world, grant), fault=True)

    def _arrive(self, world: World, grant: Any) -> World:
        obeyable = grant.fence >= self.device.fence(world.device)
        if world.device.clock is not None and obeyable:
            newest = max(world.newest, (grant.fence, grant.version))
            world = world._replace(newest=newest)
        return self._feed(world, grant)

    def violation(self, world: World) -> str | None:
        """I11, I12."""
        if world.acting is None:
            return None
        if world.now_s + OFFSET >= world.acting.expire_s:
            return "I11: discharges after the expiry"
        if (world.acting.fence, world.acting.version) < world.newest:
            return "I12: discharges by an older word than the last"
        return None

    def unfinished(self, world: World) -> str | None:
        """A lease promises nothing but safety."""
        return None
