"""An evening in three houses, played once: the shipped cable nodes and manager on a fast clock.

House 0 is honest (P1 meter, energy manager), house 1 diverts what its vehicle gives, house 2 is
honest behind a route-B meter. Their vehicles discharge from the first period on. What happens to
them is in `_play`; what came of it is kept in `Evening` for the tests to look at.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from gridcord.api.cable.v1 import cable_service_pb2 as cable_pb
from gridcord.api.cable.v1.cable_service_pb2_grpc import CableServiceStub
from gridcord.api.manager.v1 import fleet_service_pb2 as fleet_pb
from gridcord.api.manager.v1.fleet_service_pb2_grpc import FleetServiceStub
from gridcord.api.types.v1 import types_pb2
from gridcord.chassis.channel import open_channel, open_local_channel, server_name
from gridcord.chassis.clock import ScaledClock
from gridcord.chassis.credentials import TlsFiles, client_credentials, load_identity
from gridcord.chassis.identity import Kind, Principal, Role
from gridcord.chassis.pki import PkiFolder
from gridcord.chassis.supervisor import read_ready_file
from gridcord.metering.records import (
    CableEvent,
    CableEventKind,
    JournalEntry,
    SiteObservation,
    TransferRecord,
)
from gridcord.simulation.house import Cheat
from gridcord.simulation.processes import to_toml
from gridcord.wire.journal import entry_from_bytes
from gridcord.wire.values import time_to_proto
from tests.integration.cable_node.outlet import PERIOD_S, Outlet, OutletPlan
from tests.system.nursery import Child, Nursery
from tests.system.stored import Stored, read_store

DOMAIN = "grid.example"
SPEED = 300.0
LEAD_S = 4.0 * SPEED
WITHIN_S = 120.0  # real: how long anything that must happen may take
DAY_START_S = int(datetime(2026, 5, 31, 15, tzinfo=UTC).timestamp())
START_S = DAY_START_S + 36 * PERIOD_S
HONEST, DIVERTED, ROUTE_B = (
    OutletPlan(number=0),
    OutletPlan(number=1, cheat=Cheat.DIVERTED),
    OutletPlan(number=2, route_b=True),
)

Status = cable_pb.GetStatusResponse


@dataclass(frozen=True, slots=True)
class Moment:
    """What was to be seen at a moment.

    Args:
        status: What the cable says on the spot.
        session: What the manager says of its session; None when it holds none.
        closed: The contactor is closed.
        at_s: When, seconds since 1970 UTC.
    """

    status: Status
    session: fleet_pb.CableSession | None
    closed: bool
    at_s: float


@dataclass(slots=True)
class Evening:
    """What came of it.

    Args:
        moments: By cable and name of the moment.
        stored: The manager's database in the end.
    """

    moments: dict[tuple[str, str], Moment] = field(default_factory=dict)
    stored: Stored | None = None

    def at(self, plan: OutletPlan, name: str) -> Moment:
        """A moment of a house."""
        return self.moments[plan.cable_id, name]

    def entries(self, plan: OutletPlan) -> list[JournalEntry]:
        """What the manager has stored of a cable, in order."""
        assert self.stored is not None
        found = [each for each in self.stored.entries if each.cable_id == plan.cable_id]
        contents = [entry_from_bytes(each.body) for each in sorted(found, key=lambda e: e.sequence)]
        return [content for content in contents if content is not None]

    def transfers(self, plan: OutletPlan) -> list[TransferRecord]:
        """Its transfer records."""
        return [each for each in self.entries(plan) if isinstance(each, TransferRecord)]

    def observations(self, plan: OutletPlan) -> list[SiteObservation]:
        """Its site observations."""
        return [each for each in self.entries(plan) if isinstance(each, SiteObservation)]

    def events(self, plan: OutletPlan, kind: CableEventKind) -> list[CableEvent]:
        """Its events of a kind."""
        return [
            each
            for each in self.entries(plan)
            if isinstance(each, CableEvent) and each.kind is kind
        ]


@functools.cache
def evening() -> Evening:
    """Play it, once for all tests of this process."""
    with tempfile.TemporaryDirectory(prefix="gridcord-evening-") as folder, Nursery() as nursery:
        return asyncio.run(_Stage(Path(folder), nursery).play())


class _Stage:
    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self._folder, self._nursery = folder, nursery
        self._pki = PkiFolder(folder / "pki")
        self._pki.create(domain=DOMAIN, now_s=time.time() - 60)
        self.clock = ScaledClock(SPEED, time.time(), START_S - LEAD_S)
        self.outlets = {
            plan.cable_id: Outlet(plan, self.clock, folder / plan.cable_id, DAY_START_S)
            for plan in (HONEST, DIVERTED, ROUTE_B)
        }
        self._children: dict[str, Child] = {}
        self._target = ""
        self.told = Evening()

    async def play(self) -> Evening:
        try:
            for outlet in self.outlets.values():
                await outlet.start()
            await self._start_manager()
            for cable_id in self.outlets:
                self.start_cable(cable_id)
            await self._play()
            return self._collect()
        finally:
            for child in self._children.values():
                child.kill()
            for outlet in self.outlets.values():
                await outlet.stop()

    async def _play(self) -> None:
        for plan in (HONEST, DIVERTED, ROUTE_B):
            await self.until(plan, "identified", partial(_permitted, plan))
        await self.clock.sleep_until(START_S + 300)
        for outlet in self.outlets.values():
            outlet.plug(plugged=True)
        for plan in (HONEST, ROUTE_B):
            await self.until(plan, "discharging", lambda m: m.closed and m.status.power_w < -1000)
        await self.until(HONEST, "matched", _has(types_pb2.MATCH_VERDICT_MATCHED))
        await self.until(DIVERTED, "blocked", lambda m: _held(m, "NONE") and not m.closed)
        await self._overload(HONEST)
        await self._reverse_power(HONEST)
        await self.until(ROUTE_B, "observed", lambda m: len(m.status.recent_matches) >= 2)
        await self._end_session(ROUTE_B)
        self._children[HONEST.cable_id].kill()
        self.start_cable(HONEST.cable_id)
        await self.until(HONEST, "restarted", lambda m: m.closed and _streaming(HONEST, m))
        now_s = int(self.clock.now())  # a whole period more, and a part of the next
        await self.clock.sleep_until(now_s - now_s % PERIOD_S + 2 * PERIOD_S + 600)
        before = (await self._look(HONEST)).status.next_sequence_number
        self.outlets[HONEST.cable_id].plug(plugged=False)
        # The contactor opens, the period's part is closed, the vehicle is gone: three entries.
        await self.until(
            HONEST,
            "unplugged",
            lambda m: m.status.next_sequence_number >= before + 3 and _quiet(m),
        )

    async def _overload(self, plan: OutletPlan) -> None:
        await self._load(plan, 120.0)
        await self.until(plan, "overloaded", lambda m: _held(m, "NONE") and not m.closed)
        await self._load(plan, 50.0)
        await self.until(plan, "relieved", lambda m: _held(m, "BIDIRECTIONAL") and m.closed)

    async def _reverse_power(self, plan: OutletPlan) -> None:
        """The feeder is overloaded towards the grid; the vehicle discharges all the same."""
        await self._load(plan, -120.0)
        await self.until(
            plan,
            "tripped",
            lambda m: m.status.permission_reason == "REVERSE_POWER" and not m.closed,
        )
        await self._load(plan, 50.0)
        await self.until(plan, "reset", lambda m: _held(m, "BIDIRECTIONAL") and m.closed)

    async def _end_session(self, plan: OutletPlan) -> None:
        async with self._operator() as channel:
            request = fleet_pb.EndCableSessionRequest(cable_id=plan.cable_id, reason="a test")
            await FleetServiceStub(channel).EndCableSession(request)
        await self.until(plan, "ended", lambda m: m.session is None and _quiet(m))

    async def until(self, plan: OutletPlan, name: str, seen: Callable[[Moment], bool]) -> None:
        """Wait until something is to be seen at a house, and keep the moment."""
        end_s = time.monotonic() + WITHIN_S
        moment: Moment | None = None
        while time.monotonic() < end_s:
            with contextlib.suppress(grpc.aio.AioRpcError):
                moment = await self._look(plan)
                if seen(moment):
                    self.told.moments[plan.cable_id, name] = moment
                    return
            await asyncio.sleep(0.1)
        message = f"{plan.cable_id} is never {name}; at last {moment}\n{self._log(plan)}"
        raise AssertionError(message)

    async def _look(self, plan: OutletPlan) -> Moment:
        outlet = self.outlets[plan.cable_id]
        async with open_local_channel(str(outlet.socket)) as channel:
            status = await CableServiceStub(channel).GetStatus(cable_pb.GetStatusRequest())
        async with self._operator() as channel:
            sessions = await FleetServiceStub(channel).ListCableSessions(
                fleet_pb.ListCableSessionsRequest()
            )
        session = [each for each in sessions.sessions if each.cable_id == plan.cable_id]
        return Moment(
            status, session[0] if session else None, outlet.board.closed, self.clock.now()
        )

    async def _load(self, plan: OutletPlan, percent: float) -> None:
        loading = types_pb2.AssetLoading(
            asset_id="transformer-1",
            loading_percent=percent,
            rated_va=50_000,
            measure_time=time_to_proto(self.clock.now()),
        )
        async with open_local_channel(str(self.outlets[plan.cable_id].socket)) as channel:
            await CableServiceStub(channel).ReportAssetLoading(
                cable_pb.ReportAssetLoadingRequest(asset_loading=loading)
            )

    @contextlib.asynccontextmanager
    async def _operator(self) -> AsyncIterator[grpc.aio.Channel]:
        tls = self._issue(Kind.OPERATOR, "ops", Role.ADMIN)
        files = TlsFiles(**{name: Path(path) for name, path in tls.items()})
        async with open_channel(
            self._target,
            credentials=client_credentials(load_identity(files)),
            expect=server_name(Kind.MANAGER, DOMAIN),
        ) as channel:
            yield channel

    async def _start_manager(self) -> None:
        ready = self._folder / "ready.json"
        tables: dict[str, dict[str, Any]] = {
            "tls": self._issue(Kind.MANAGER, "main"),
            "listen": {"ready_file": str(ready)},
            "database": {"file": str(self._folder / "manager.db")},
            "period": {"length_s": PERIOD_S},
            "session": {"lease_s": 15.0 * SPEED, "look_s": 0.2 * SPEED},
            "match": {"rule": "patent", "check_every_s": 0.5 * SPEED},
            "permission": {"mismatched": "NONE"},
            "clock": self._clock_table(),
            "log": {"format": "json", "level": "info"},
        }
        self._start("manager", "manager", tables)
        end_s = time.monotonic() + WITHIN_S
        while (facts := read_ready_file(ready)) is None:
            assert time.monotonic() < end_s, (self._folder / "manager.log").read_text("utf-8")
            await asyncio.sleep(0.05)
        self._target = str(facts["grpc"])

    def start_cable(self, cable_id: str) -> None:
        """Start a cable node, or start it again."""
        manager = {"target": self._target, "server_name": server_name(Kind.MANAGER, DOMAIN)}
        tls = self._issue(Kind.CABLE, cable_id)
        tables = self.outlets[cable_id].settings(tls, manager, self._clock_table())
        self._start("cable_node", cable_id, tables)

    def _start(self, program: str, name: str, tables: Mapping[str, Mapping[str, Any]]) -> None:
        config = self._folder / f"{name}.toml"
        config.write_text(to_toml(tables), "utf-8")
        self._children[name] = self._nursery.start(
            program, ["--config", config], self._folder / f"{name}.log"
        )

    def _clock_table(self) -> dict[str, Any]:
        return {
            "speed": SPEED,
            "origin": datetime.fromtimestamp(self.clock.origin_real_s, UTC).isoformat(),
            "simulated_origin": datetime.fromtimestamp(
                self.clock.origin_simulated_s, UTC
            ).isoformat(),
        }

    def _issue(self, kind: Kind, name: str, role: Role | None = None) -> dict[str, str]:
        principal = Principal(domain=DOMAIN, kind=kind, id=name, role=role)
        files = self._pki.files(principal)
        if not files.certificate.exists():
            self._pki.issue(principal, now_s=time.time() - 60)
        return {
            "certificate": str(files.certificate),
            "key": str(files.key),
            "roots": str(files.roots),
        }

    def _collect(self) -> Evening:
        self.told.stored = read_store(f"sqlite:///{self._folder}/manager.db", {})
        return self.told

    def _log(self, plan: OutletPlan) -> str:
        text = (self._folder / f"{plan.cable_id}.log").read_text("utf-8", "replace")
        return "\n".join([line for line in text.splitlines() if "rpc.ended" not in line][-30:])


def _streaming(plan: OutletPlan, moment: Moment) -> bool:
    """Both hold a session, and know where."""
    session = moment.session
    known = session is not None and session.site_id == plan.site_id == moment.status.site_id
    return known and moment.status.session_state == "STREAMING"


def _permitted(plan: OutletPlan, moment: Moment) -> bool:
    """They hold a session, and the first lease has come."""
    return _streaming(plan, moment) and _held(moment, "BIDIRECTIONAL")


def _held(moment: Moment, permission: str) -> bool:
    """Cable and manager agree on what may flow."""
    value = types_pb2.Permission.Value(f"PERMISSION_{permission}")
    session = moment.session
    return moment.status.permission == value == (session.permission if session else -1)


def _has(verdict: int) -> Callable[[Moment], bool]:
    return lambda moment: any(
        each.match.verdict == verdict for each in moment.status.recent_matches
    )


def _quiet(moment: Moment) -> bool:
    """All that the cable wrote is stored at the manager."""
    return moment.status.committed_sequence_number == moment.status.next_sequence_number - 1
