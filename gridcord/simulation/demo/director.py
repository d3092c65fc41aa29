"""Plays a demonstration from start to end."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import structlog

from gridcord.api.manager.v1 import (
    fleet_service_pb2,
    site_block_service_pb2,
    transfer_service_pb2,
)
from gridcord.api.manager.v1.fleet_service_pb2_grpc import FleetServiceStub
from gridcord.api.manager.v1.site_block_service_pb2_grpc import SiteBlockServiceStub
from gridcord.api.manager.v1.transfer_service_pb2_grpc import TransferServiceStub
from gridcord.chassis.identity import Kind, Role
from gridcord.simulation.demo.market import GATE_PERIOD, publish_imbalances, start_vtn
from gridcord.simulation.demo.plan import PERIOD_S, DemoPlan, Scenario
from gridcord.simulation.demo.stage import Stage
from gridcord.simulation.demo.summary import (
    JournalCount,
    Slot,
    Summary,
    count_journal,
    count_ledger,
    count_offers,
    count_quarantined,
    take_transfers,
)
from gridcord.simulation.house import Cheat
from gridcord.simulation.processes import Program
from gridcord.simulation.vtn import Vtn
from gridcord.simulation.world import World
from gridcord.testing.fault_proxy import FaultProxy

SETTLE_WITHIN_S = 60.0  # real seconds for everything to arrive once the day is over
SETTLE_PERIODS = 1.2  # of the clock: the last period's readings have to come
TROUBLE_PERIODS = 2  # from one outage to the next
LOOK_S = 0.5  # real seconds between two looks at the manager
LINK_DELAY_S = (0.02, 0.2)  # of a home's uplink, when it is simulated
PAGE = 1000

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class View:
    """What a spectator sees now."""

    at_s: float = 0.0
    stage: str = ""
    sessions: list[Any] = field(default_factory=list)
    sites: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    demand: Any = None
    transfers: int = 0


class Director:
    """Plays one plan.

    Args:
        plan: What is played.
        folder: Where everything is kept.
        show: Called now and then with what is to be seen.
    """

    def __init__(self, plan: DemoPlan, folder: Path, show: Callable[[View], None]) -> None:
        self._plan = plan
        self._stage = Stage(plan, folder)
        self._clock = self._stage.clock
        self._world = World(plan, self._clock, folder / "ports")
        self._show = show
        self._view = View()
        self._proxy: FaultProxy | None = None
        self._vtn: Vtn | None = None
        self._address = ""
        self._random = random.Random(f"faults {plan.seed}")
        self._cables: dict[str, Program] = {}
        self.summary = Summary(
            scenario=plan.scenario.value,
            seed=plan.seed,
            houses=len(plan.houses),
            periods=plan.periods,
            speed=plan.speed,
            cheating_sites=sorted(
                self._claimed_site(each.number)
                for each in plan.houses
                if each.house.cheat is not Cheat.NONE
            ),
        )

    @property
    def manager_address(self) -> str:
        """Where the manager answers."""
        return self._address

    @property
    def stage(self) -> Stage:
        """Folders, identities and programs."""
        return self._stage

    async def play(self) -> Summary:
        """Play to the end; programs and houses are gone when this returns or raises."""
        begin = time.monotonic()
        try:
            await self._open()
            await self._until_the_end()
            await self._count(await self._settle())
        finally:
            await self._close()
        self.summary.elapsed_s = round(time.monotonic() - begin, 1)
        return self.summary

    def _claimed_site(self, number: int) -> str:
        """The site that a cable takes itself to be at."""
        plan = self._plan.houses[number]
        return self._plan.all_houses[plan.shown].house.site_id

    async def _open(self) -> None:
        stage = self._stage
        self._tell("the utility gets its register and readings")
        stage.write_register(self._world.history())
        await self._world.start()
        self._tell("adapters start")
        utility, exchange = stage.add_utility(), stage.add_exchange()
        for program in (utility, exchange):
            program.start()
        secret = secrets.token_urlsafe()
        self._vtn = await start_vtn(self._plan, self._clock, secret)
        at_exchange = await asyncio.to_thread(exchange.wait_ready)
        market = stage.add_market(exchange=at_exchange, vtn=self._vtn, secret=secret)
        market.start()
        facts = [await asyncio.to_thread(program.wait_ready) for program in (utility, market)]
        self._tell("the manager starts")
        manager = stage.add_manager(utility=str(facts[0]["grpc"]), trading=str(facts[1]["grpc"]))
        manager.start()
        self._address = str((await asyncio.to_thread(manager.wait_ready))["grpc"])
        manager.settings = {
            **manager.settings,
            "listen": {**manager.settings["listen"], "address": self._address},
        }
        target = await self._link()
        self._tell("battery and cables start")
        stage.add_battery(port=self._world.battery.port, manager=target).start()
        for outlet in self._world.outlets:
            program = stage.add_cable(outlet, manager=target)
            self._cables[program.folder.name] = program
            program.start()
        self._world.live(lambda name: lambda: self._resource_channel(name, target), stage.inbox)

    async def _link(self) -> str:
        """The way from the houses to the manager; through a proxy when links are to be cut."""
        if self._plan.scenario is not Scenario.OUTAGE:
            return self._address
        host, _, port = self._address.rpartition(":")
        self._proxy = FaultProxy((host, int(port)), delay_s=LINK_DELAY_S, seed=self._plan.seed)
        await self._proxy.__aenter__()
        return f"127.0.0.1:{self._proxy.port}"

    def _resource_channel(self, name: str, target: str) -> grpc.aio.Channel:
        return self._stage.channel(target, self._stage.identity(Kind.RESOURCE, name))

    async def _until_the_end(self) -> None:
        watcher = asyncio.ensure_future(self._watch())
        trouble = asyncio.ensure_future(self._trouble())
        folder = self._stage.folder / "market"
        prices = asyncio.ensure_future(publish_imbalances(self._plan, folder, self._clock))
        try:
            self._tell("half hours pass")
            await self._clock.sleep_until(self._plan.end_s + 120)
            await prices
        finally:
            for task in (watcher, trouble, prices):
                task.cancel()
            await asyncio.gather(watcher, trouble, prices, return_exceptions=True)

    async def _trouble(self) -> None:
        """What the scenario does to the programs while they run."""
        if self._plan.scenario is Scenario.OUTAGE:
            await self._outage()
        elif self._plan.scenario is Scenario.STORM:
            await self._storm()

    async def _outage(self) -> None:
        first = GATE_PERIOD + 1  # who is away when the auction is held has nothing to deliver
        for count, period in enumerate(range(first, self._plan.periods, TROUBLE_PERIODS)):
            at = self._plan.start_s + (period + self._random.uniform(0.1, 0.8)) * PERIOD_S
            await self._clock.sleep_until(at)
            if count % 2 == 0:
                await self._kill_manager()
            elif self._proxy is not None:
                self.summary.link_cuts += 1
                self._proxy.reset()

    async def _kill_manager(self) -> None:
        manager = self._stage.programs["manager"]
        self._tell("the manager is killed and comes back")
        await asyncio.to_thread(manager.kill)
        self.summary.manager_kills += 1
        manager.start()
        await asyncio.to_thread(manager.wait_ready)

    async def _storm(self) -> None:
        """Everything reconnects right at a boundary, when everything reports."""
        middle = self._plan.start_s + self._plan.periods // 2 * PERIOD_S
        await self._clock.sleep_until(middle)
        self.summary.link_cuts += len(self._cables)
        await self._kill_manager()

    async def _watch(self) -> None:
        """Look at the manager now and then, as an operator would."""
        files = self._stage.identity(Kind.OPERATOR, "demo", Role.ADMIN)
        async with self._stage.channel(self._address, files) as channel:
            fleet = FleetServiceStub(channel)
            while True:
                try:
                    await self._look(fleet)
                except grpc.aio.AioRpcError as error:
                    log.debug("manager.unseen", code=error.code().name)
                await asyncio.sleep(LOOK_S)

    async def _look(self, fleet: Any) -> None:
        view = self._view
        sessions = await fleet.ListCableSessions(fleet_service_pb2.ListCableSessionsRequest())
        sites = await fleet.ListSites(fleet_service_pb2.ListSitesRequest())
        resources = await fleet.ListResources(fleet_service_pb2.ListResourcesRequest())
        demand = await fleet.ListDemand(fleet_service_pb2.ListDemandRequest(page_size=PAGE))
        view.sessions = sorted(sessions.sessions, key=lambda session: session.cable_id)
        view.sites = {site.site_id: site for site in sites.sites}
        view.resources = {resource.cable_id: resource for resource in resources.resources}
        view.demand = demand.reports[-1] if demand.reports else None
        view.at_s = self._clock.now()
        self._show(view)

    async def _settle(self) -> list[Any]:
        """All vehicles leave; wait until every record has arrived and was told, and list them."""
        self._tell("the last records arrive")
        await self._world.everybody_leaves()
        await self._clock.sleep(SETTLE_PERIODS * PERIOD_S)
        deadline = time.monotonic() + SETTLE_WITHIN_S
        while time.monotonic() < deadline:
            counts = await asyncio.to_thread(self._journals)
            arrived = all(count.acked >= count.last for count in counts.values())
            transfers = await self._transfers()
            if arrived and _told(transfers, sum(len(each.records) for each in counts.values())):
                return transfers
            await asyncio.sleep(0.5)
        log.warning("demo.not_settled")
        return await self._transfers()

    def _journals(self) -> dict[str, JournalCount]:
        return {
            name: count_journal(program.folder / "journal.db", name)
            for name, program in self._cables.items()
        }

    async def _transfers(self) -> list[Any]:
        files = self._stage.identity(Kind.OPERATOR, "demo", Role.ADMIN)
        found: list[Any] = []
        async with self._stage.channel(self._address, files) as channel:
            stub: Any = TransferServiceStub(channel)
            token = ""
            while True:
                page = await stub.ListTransfers(
                    transfer_service_pb2.ListTransfersRequest(page_size=PAGE, page_token=token)
                )
                found += page.transfers
                token = page.next_page_token
                if not token:
                    return found

    async def _count(self, transfers: list[Any]) -> None:
        summary = self.summary
        counts = await asyncio.to_thread(self._journals)
        produced = {key for count in counts.values() for key in count.records}
        told = take_transfers(summary, transfers)
        summary.records_produced = len(produced)
        summary.records_stored = len(told)
        summary.records_lost = len(produced - told.keys())
        summary.records_duplicated = sum(times - 1 for times in told.values())
        summary.entries_produced = sum(count.entries for count in counts.values())
        summary.entries_stored = sum(count.acked for count in counts.values())
        database = self._stage.folder / "manager" / "manager.db"
        summary.records_quarantined = await asyncio.to_thread(count_quarantined, database)
        summary.ledger = await asyncio.to_thread(count_ledger, database)
        summary.cable_net_wh = sum(count.net_wh for count in counts.values())
        await self._count_blocks()
        await self._count_demand()

    async def _count_blocks(self) -> None:
        files = self._stage.identity(Kind.OPERATOR, "demo", Role.ADMIN)
        async with self._stage.channel(self._address, files) as channel:
            stub: Any = SiteBlockServiceStub(channel)
            found = await stub.ListSiteBlocks(
                site_block_service_pb2.ListSiteBlocksRequest(page_size=PAGE)
            )
        self.summary.blocked_sites = sorted({block.site_id for block in found.site_blocks})
        self.summary.block_reasons = {
            block.site_id: block.reason for block in reversed(found.site_blocks)
        }

    async def _count_demand(self) -> None:
        files = self._stage.identity(Kind.OPERATOR, "demo", Role.ADMIN)
        async with self._stage.channel(self._address, files) as channel:
            stub: Any = FleetServiceStub(channel)
            found = await stub.ListDemand(fleet_service_pb2.ListDemandRequest(page_size=PAGE))
        store = self._stage.folder / "market" / "market.db"
        offered = await asyncio.to_thread(count_offers, store)
        for report in found.reports:
            start_s = report.period.start_time.seconds
            slot = Slot(
                start_s=start_s,
                offered_wh=offered.get(start_s, 0),
                contracted_wh=report.contracted_wh,
                requested_wh=report.requested_wh,
                delivered_wh=report.delivered_wh,
                imbalance_micros=report.imbalance.amount_micros
                if report.HasField("imbalance")
                else None,
            )
            if slot.start_s < self._plan.end_s and slot.is_worth_a_line:
                self.summary.slots.append(slot)
                self.summary.contracted_wh += slot.contracted_wh
                self.summary.demand_wh += slot.requested_wh
                self.summary.delivered_wh += slot.delivered_wh

    def _tell(self, stage: str) -> None:
        self._view.stage = stage
        self._view.at_s = self._clock.now()
        self._show(self._view)

    async def _close(self) -> None:
        self._tell("everything ends")
        programs = self._stage.programs
        first = [*self._cables.values(), *(p for n, p in programs.items() if n == "battery")]
        await asyncio.gather(*(asyncio.to_thread(program.stop, 5.0) for program in first))
        await self._world.stop()
        if self._proxy is not None:
            await self._proxy.__aexit__(None, None, None)
        if self._vtn is not None:
            await self._vtn.stop()
        for name in ("manager", "market", "utility", "exchange"):
            if name in programs:
                await asyncio.to_thread(programs[name].stop, 10.0)


def _told(transfers: list[Any], records: int) -> bool:
    """Whether the utility has every record of a known site."""
    forwarded = all(transfer.forwarded for transfer in transfers if transfer.site_id)
    return len(transfers) >= records and forwarded
