"""The composition root: which parts the manager has and who knows whom."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gridcord.api.manager.v1 import cable_session_service_pb2, cable_session_service_pb2_grpc
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.program import start_server
from gridcord.chassis.server import Service
from gridcord.session.opening import TakeoverPolicy
from manager.domain.entry_check import PlausibilityPolicy
from manager.domain.permission import PermissionPolicy
from manager.fleet import Registry
from manager.service.cable_link import CableLink
from manager.service.cables import CableSessionServicer
from manager.service.policy import POLICY
from manager.settings import DatabaseSettings, ManagerSettings, PermissionSettings
from manager.storage.audit_log import SqlAuditLog
from manager.storage.engine import Database
from manager.storage.projection import ProjectionPolicy, SqlProjection
from manager.storage.schema import migrate
from manager.storage.sessions import SqlJournals
from manager.storage.site_blocks import SqlSiteRules
from manager.tariffs import tariff_book
from manager.usecases.commit_entries import Committer
from manager.usecases.permit import LeasePolicy, Permits
from manager.usecases.project import Projector
from manager.usecases.read_entries import EntryReader

_DEFAULT_FILE = Path("manager.db")


async def run_manager(settings: ManagerSettings) -> ExitCode:
    """Run the manager until it is told to stop."""
    database = open_database(settings.database)
    try:
        return await _run(settings, database)
    finally:
        database.close()


def open_database(settings: DatabaseSettings) -> Database:
    """Open the database and bring its tables to this version."""
    database = Database(settings.url or f"sqlite:///{settings.file or _DEFAULT_FILE}")
    if settings.migrate:
        migrate(database)
    return database


async def _run(settings: ManagerSettings, database: Database) -> ExitCode:
    clock = settings.clock.clock()
    lifecycle = Lifecycle(clock=clock)
    links: Registry[CableLink] = Registry()
    journals = SqlJournals(
        database,
        TakeoverPolicy(
            most=settings.session.takeovers, within_s=settings.session.takeovers_within_s
        ),
    )
    audit_log = SqlAuditLog(database, now=clock.now)
    reader = EntryReader(policy=PlausibilityPolicy())
    projector = Projector(
        projection=SqlProjection(
            database,
            ProjectionPolicy(
                tariffs=tariff_book(settings.tariff),
                area=settings.dispatch.default_area,
                sample_matched=settings.match.sample_matched,
            ),
        ),
        reader=reader,
        now=clock.now,
    )
    committer = Committer(
        journals=journals,
        now=clock.now,
        committed=projector.wake,
        most_pending=settings.session.most_pending_entries,
    )
    permits = Permits(
        rules=SqlSiteRules(database),
        policy=permission_policy(settings.permission),
        leases=LeasePolicy(lease_s=settings.session.lease_s, look_s=settings.session.look_s),
        now=clock.now,
        sleep=clock.sleep,
        sessions=lambda: links,
    )
    cables = CableSessionServicer(
        journals=journals,
        committer=committer,
        permits=permits,
        links=links,
        now=clock.now,
        opened=lambda _link: None,
        refused=audit_log.identity_refused,
    )
    lifecycle.add("committer", committer.run, on_failure=OnFailure.STOP)
    lifecycle.add("projector", projector.run, on_failure=OnFailure.RESTART)
    lifecycle.add("permits", permits.run, on_failure=OnFailure.STOP)
    await start_server(
        settings,
        lifecycle=lifecycle,
        policy=POLICY,
        services=[
            Service(
                name=_name(cable_session_service_pb2, "CableSessionService"),
                register=partial(
                    cable_session_service_pb2_grpc.add_CableSessionServiceServicer_to_server,
                    cables,
                ),
            ),
        ],
    )
    lifecycle.on_drain(cables.ask_all_to_end)
    return await lifecycle.run()


def permission_policy(settings: PermissionSettings) -> PermissionPolicy:
    """What the aggregator decided, as the domain takes it."""
    return PermissionPolicy(
        unidentified=settings.unidentified,
        clone_suspected=settings.clone_suspected,
        loading_limit_percent=settings.loading_limit_percent,
        loading_release_percent=settings.loading_release_percent,
        charge_to_percent=settings.charge_to_percent,
    )


def _name(module: object, service: str) -> str:
    descriptor = module.DESCRIPTOR  # type: ignore[attr-defined]
    name: str = descriptor.services_by_name[service].full_name
    return name
