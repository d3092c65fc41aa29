"""The composition root: which parts the manager has and who knows whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.program import start_server
from gridcord.chassis.sections import RemoteSettings
from gridcord.chassis.server import Service
from gridcord.clients.connector import Connector
from gridcord.metering.reading import Permission
from gridcord.session.opening import TakeoverPolicy
from gridcord.wire.resource import ResourceIntroduction
from manager.clients.market import GrpcMarket
from manager.clients.utility import GrpcUtility
from manager.database import open_database
from manager.domain.records.entry_check import PlausibilityPolicy
from manager.domain.trust.permission import Granted
from manager.fleet import Registry
from manager.metrics import MeasuredJournals, StoreWatch, tell_live
from manager.policies import (
    adopted_terms,
    bundle_signer,
    check_policy,
    dispatch_policy,
    offer_rules,
    permission_policy,
    projection_policy,
    proof_policy,
)
from manager.ports import StoreUnavailable
from manager.service.audit import AuditServicer
from manager.service.blocks import SiteBlockServicer
from manager.service.cable_link import CableLink
from manager.service.cables import CableSessionServicer
from manager.service.drivers import DriverServicer
from manager.service.evidence import EvidenceServicer
from manager.service.fleet_tools import FleetServicer
from manager.service.policy import POLICY
from manager.service.reconnects import ReconnectLimit
from manager.service.refusals import RefusalLog
from manager.service.registration import (
    cable_session_service,
    resource_session_service,
    tool_services,
)
from manager.service.resource_link import ResourceLink
from manager.service.resources import ResourceSessionServicer
from manager.service.site_access import AccessDesk
from manager.service.transfers import TransferServicer
from manager.settings import ManagerSettings
from manager.site_access import SiteAccessFile
from manager.storage.audit.log import SqlAuditLog
from manager.storage.derivation.projection import SqlProjection
from manager.storage.derivation.site_checks import SqlSiteChecks
from manager.storage.derivation.utility_facts import SqlUtilityFacts
from manager.storage.engine import Database
from manager.storage.figures import SqlFigures
from manager.storage.ledger.bundles import SqlBundles
from manager.storage.ledger.settlement import SqlSettlement
from manager.storage.log.transfers import SqlTransfers
from manager.storage.market.bids import SqlBids
from manager.storage.market.demands import SqlDemands
from manager.storage.market.expectations import SqlExpectations
from manager.storage.market.results import CONTRACTS, PRICES, SqlMarketFacts
from manager.storage.market.stays import SqlStays
from manager.storage.notices import SqlNotices
from manager.storage.sessions.cables import SqlJournals
from manager.storage.sessions.fleet_views import FleetViews
from manager.storage.sessions.resources import SqlResources
from manager.storage.sites.blocks import SqlSiteRules
from manager.storage.sites.governed_blocks import SqlBlocks
from manager.storage.sites.proofs import SqlProofs
from manager.usecases.check_sites import SiteChecker
from manager.usecases.commit_entries import Committer
from manager.usecases.dispatch import Dispatcher
from manager.usecases.follow_demand import follow_demand
from manager.usecases.follow_market import follow_market
from manager.usecases.follow_utility import Forwarder, follow_loadings, follow_readings
from manager.usecases.govern_blocks import BlockGovernor
from manager.usecases.permit import LeasePolicy, Permits
from manager.usecases.place_bids import Bidder, BidPlace, follow_day_ahead
from manager.usecases.project import Projector
from manager.usecases.prove_sites import Prover
from manager.usecases.read_entries import EntryReader
from manager.usecases.settle import Settler

_LONGEST_BURST_S = 2.0  # real seconds that deriving waits for confirming
_STOP, _RESTART = OnFailure.STOP, OnFailure.RESTART

log = structlog.get_logger()


async def run_manager(settings: ManagerSettings) -> ExitCode:
    """Run the manager until it is told to stop."""
    try:
        database = open_database(settings.database)
    except StoreUnavailable as error:  # whoever started us tries again
        log.error("database.unavailable", error=str(error)[:200])
        return ExitCode.NEGATIVE
    try:
        return await Manager(settings, database).run()
    finally:
        database.close()


class Manager:
    """The parts of one manager process.

    Args:
        settings: All of them.
        database: Open.
    """

    def __init__(self, settings: ManagerSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._clock = settings.clock.clock()
        self._lifecycle = Lifecycle(clock=self._clock)
        self._services: list[Service] = []
        self._projected: list[Callable[[], None]] = []
        self.links: Registry[CableLink] = Registry()
        self.audit_log = SqlAuditLog(database, now=self._clock.now)
        self.transfers = SqlTransfers(database)
        self.resources: Registry[ResourceLink] = Registry()
        self.demands = SqlDemands(
            database, default_area=settings.dispatch.default_area, now=self._clock.now
        )
        self._terms = adopted_terms(database, settings, now_s=int(self._clock.now()))
        self.permits = self._make_permits()
        self.prover = self._make_prover()

    async def run(self) -> ExitCode:
        """Run until told to stop."""
        utility = self._utility()
        cables = self._ingest()
        self._check_sites(utility)
        if utility is not None:
            self._follow(utility)
        resources = self._dispatch()
        self._tools()
        refusals = RefusalLog(note=self.audit_log.refused)
        self._lifecycle.add("refusals", refusals.run, on_failure=_RESTART)
        self._lifecycle.on_drain(refusals.flush)
        await start_server(
            self._settings,
            lifecycle=self._lifecycle,
            policy=POLICY,
            services=self._services,
            refused=refusals.refused,
        )
        self._lifecycle.on_drain(cables.ask_all_to_end)
        self._lifecycle.on_drain(resources.ask_all_to_end)
        return await self._lifecycle.run()

    def _make_permits(self) -> Permits:
        session = self._settings.session
        permits = Permits(
            rules=SqlSiteRules(self._database),
            policy=permission_policy(self._settings.permission),
            leases=LeasePolicy(lease_s=session.lease_s, look_s=session.look_s),
            now=self._clock.now,
            sleep=self._clock.sleep,
            sessions=lambda: self.links,
            sites=lambda: {link.own_site_id for link in self.resources} - {""},
        )
        self._lifecycle.add("permits", permits.run, on_failure=_STOP)
        return permits

    def _ingest(self) -> CableSessionServicer:
        """From a cable's stream to the log, and from the log to what is derived."""
        session, access = self._settings.session, self._settings.site_access.file
        takeovers = TakeoverPolicy(most=session.takeovers, within_s=session.takeovers_within_s)
        journals = MeasuredJournals(SqlJournals(self._database, takeovers))
        projector = Projector(
            projection=SqlProjection(
                self._database, projection_policy(self._settings, self._terms)
            ),
            reader=EntryReader(policy=PlausibilityPolicy()),
            now=self._clock.now,
            projected=lambda: _call_all(self._projected),
            calm=lambda: committer.calm(at_most_s=_LONGEST_BURST_S),
        )
        settlement = SqlSettlement(
            self._database, self._terms, area_of_cables=self._settings.dispatch.default_area
        )
        settler = Settler(settlement=settlement, now=self._clock.now, sleep=asyncio.sleep)
        committer = Committer(
            journals=journals,
            now=self._clock.now,
            committed=projector.wake,
            most_pending=session.most_pending_entries,
        )
        cables = CableSessionServicer(
            journals=journals,
            committer=committer,
            permits=self.permits,
            links=self.links,
            now=self._clock.now,
            opened=AccessDesk(SiteAccessFile(access), self.audit_log).opened,
            refused=self.audit_log.identity_refused,
            limit=ReconnectLimit(most=session.reconnects, within_s=session.reconnects_within_s),
        )
        tell_live(pending=lambda: committer.pending, cables=self.links, resources=self.resources)
        self._lifecycle.add("committer", committer.run, on_failure=_STOP)
        self._lifecycle.add("projector", projector.run, on_failure=_RESTART)
        self._lifecycle.add("settler", settler.run, on_failure=_RESTART)
        self._services.append(cable_session_service(cables))
        return cables

    def _check_sites(self, utility: GrpcUtility | None) -> None:
        checker = SiteChecker(
            checks=SqlSiteChecks(self._database, check_policy(self._settings)),
            utility=utility,
            now=self._clock.now,
            sleep=self._clock.sleep,
            every_s=self._settings.match.check_every_s,
            blocked=self.permits.look_now,
            suspected=self.prover.suspected,
        )
        self._lifecycle.add("site_checker", checker.run, on_failure=_RESTART)

    def _make_prover(self) -> Prover:
        return Prover(
            proofs=SqlProofs(self._database),
            policy=proof_policy(self._settings),
            cables=lambda: self.links,
            resources=lambda: self.resources,
            permitted=self.permits.while_proving,
            now=self._clock.now,
            sleep=self._clock.sleep,
            changed=self.permits.look_now,
        )

    def _tools(self) -> None:
        """What the aggregator's tools and drivers' apps call."""
        blocks = SqlBlocks(self._database)
        governor = BlockGovernor(blocks=blocks, now=self._clock.now, changed=self.permits.look_now)
        self._lifecycle.add("expiry", partial(self._expire, governor), on_failure=_RESTART)
        self._services += tool_services(
            transfers=TransferServicer(self.transfers),
            blocks=SiteBlockServicer(governor=governor, blocks=blocks, prove=self.prover.ask),
            fleet=FleetServicer(
                views=FleetViews(self._database, period_s=self._settings.period_s),
                demands=self.demands,
                links=self.links,
                resources=self.resources,
                audit_log=self.audit_log,
            ),
            drivers=DriverServicer(transfers=self.transfers, notices=SqlNotices(self._database)),
            audit=AuditServicer(self.audit_log),
            evidence=EvidenceServicer(
                SqlBundles(self._database.url, signer=bundle_signer(self._settings.evidence)),
                self.audit_log,
                now=self._clock.now,
            ),
        )

    async def _expire(self, governor: BlockGovernor) -> None:
        while True:
            await governor.expire()
            await self._clock.sleep(self._settings.match.check_every_s)

    def _follow(self, utility: GrpcUtility) -> None:
        facts = SqlUtilityFacts(self._database)
        readings = partial(follow_readings, utility, facts, now=self._clock.now)
        loadings = partial(follow_loadings, utility, facts, changed=self.permits.look_now)
        forwarder = Forwarder(utility, self.transfers)
        self._projected.append(forwarder.wake)
        self._lifecycle.add("utility_readings", readings, on_failure=_RESTART)
        self._lifecycle.add("utility_loadings", loadings, on_failure=_RESTART)
        self._lifecycle.add("forwarder", forwarder.run, on_failure=_RESTART)

    def _dispatch(self) -> ResourceSessionServicer:
        """From the market's demand to setpoints."""
        settings = self._settings
        servicer = ResourceSessionServicer(
            resources=SqlResources(self._database),
            links=self.resources,
            granted=self._granted,
            site_of=self._site_of,
            now=self._clock.now,
            default_area=settings.dispatch.default_area,
            telemetry_interval_s=settings.session.telemetry_interval_s,
            lease_s=settings.session.setpoint_lease_s,
            refused=self.audit_log.identity_refused,
        )
        dispatcher = Dispatcher(
            demands=self.demands,
            rules=SqlSiteRules(self._database),
            sessions=lambda: self.resources,
            now=self._clock.now,
            sleep=self._clock.sleep,
            tick_s=settings.dispatch.tick_s,
            policy=dispatch_policy(settings),
            kept=SqlExpectations(self._database) if settings.settlement.imbalance_percent else None,
        )
        self._lifecycle.add("dispatcher", dispatcher.run, on_failure=_RESTART)
        watch = StoreWatch(
            figures=SqlFigures(self._database),
            delivered=lambda: dispatcher.delivered_wh,
            now=self._clock.now,
            sleep=asyncio.sleep,
            period_s=settings.period_s,
        )
        self._lifecycle.add("figures", watch.run, on_failure=_RESTART)
        if settings.market is not None:
            market = GrpcMarket(self._connector(settings.market))
            demand = partial(follow_demand, market, self.demands)
            self._lifecycle.add("market_demand", demand, on_failure=_RESTART)
            self._settle_market(market)
            self._bid(market)
        self._services.append(resource_session_service(servicer))
        return servicer

    def _settle_market(self, market: GrpcMarket) -> None:
        """Keep what the ledger settles contracts by."""
        facts = SqlMarketFacts(self._database)
        streams = {CONTRACTS: market.watch_contracts, PRICES: market.watch_prices}
        for stream, watch in streams.items():
            follow = partial(follow_market, watch, facts, stream)
            self._lifecycle.add(stream.replace(".", "_"), follow, on_failure=_RESTART)

    def _bid(self, market: GrpcMarket) -> None:
        """Bid by itself, where settings name a market."""
        bidding, dispatch = self._settings.bidding, self._settings.dispatch
        if bidding.market is None:
            return
        bids = SqlBids(self._database)
        bidder = Bidder(
            market=market,
            bids=bids,
            stays=SqlStays(self._database),
            place=BidPlace(market_id=bidding.market, area_id=dispatch.default_area),
            rules=offer_rules(self._settings),
            fleet=lambda: [state for link in self.resources if (state := link.state())],
            now=self._clock.now,
            sleep=self._clock.sleep,
            every_s=bidding.every_s,
        )
        prices = partial(follow_day_ahead, market, bids)
        self._lifecycle.add("day_ahead_prices", prices, on_failure=_RESTART)
        self._lifecycle.add("bidder", bidder.run, on_failure=_RESTART)

    def _granted(self, introduction: ResourceIntroduction) -> Granted | None:
        """What may flow where a resource is: as at the cable it hangs on, else as at its site."""
        if introduction.cable_id:
            link = self.links.get(introduction.cable_id)
            return None if link is None else link.granted
        if introduction.site_id:
            return self.permits.at_site(introduction.site_id)
        return Granted(permission=Permission.BIDIRECTIONAL)

    def _site_of(self, cable_id: str) -> str:
        link = self.links.get(cable_id)
        return "" if link is None else link.site_id

    def _utility(self) -> GrpcUtility | None:
        remote = self._settings.utility
        return None if remote is None else GrpcUtility(self._connector(remote))

    def _connector(self, remote: RemoteSettings) -> Connector:
        return Connector(
            remote.target,
            files=self._settings.tls.files(),
            expect=remote.server_name,
            deadline_s=remote.deadline_s,
        )


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()
