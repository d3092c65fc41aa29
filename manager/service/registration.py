"""The services of a manager as its server takes them: names, servicers, failures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import grpc

from gridcord.api.manager.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    cable_session_service_pb2,
    cable_session_service_pb2_grpc,
    driver_service_pb2,
    driver_service_pb2_grpc,
    evidence_service_pb2,
    evidence_service_pb2_grpc,
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    resource_session_service_pb2,
    resource_session_service_pb2_grpc,
    site_block_service_pb2,
    site_block_service_pb2_grpc,
    transfer_service_pb2,
    transfer_service_pb2_grpc,
)
from gridcord.chassis.failures import NO_FAILURES, FailureTable
from gridcord.chassis.server import Service
from gridcord.wire.values import WireError
from manager.service.audit import AuditServicer
from manager.service.blocks import FAILURES as BLOCK_FAILURES
from manager.service.blocks import SiteBlockServicer
from manager.service.cables import CableSessionServicer
from manager.service.drivers import DriverServicer
from manager.service.evidence import FAILURES as EVIDENCE_FAILURES
from manager.service.evidence import EvidenceServicer
from manager.service.fleet_tools import FleetServicer
from manager.service.resources import ResourceSessionServicer
from manager.service.transfers import TransferServicer

_MALFORMED = (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


def cable_session_service(servicer: CableSessionServicer) -> Service:
    """What cables call."""
    register = cable_session_service_pb2_grpc.add_CableSessionServiceServicer_to_server
    return _service(cable_session_service_pb2, "CableSessionService", register, servicer)


def resource_session_service(servicer: ResourceSessionServicer) -> Service:
    """What controllers of vehicles, stations and batteries call."""
    register = resource_session_service_pb2_grpc.add_ResourceSessionServiceServicer_to_server
    return _service(resource_session_service_pb2, "ResourceSessionService", register, servicer)


def tool_services(
    *,
    transfers: TransferServicer,
    blocks: SiteBlockServicer,
    fleet: FleetServicer,
    drivers: DriverServicer,
    audit: AuditServicer,
    evidence: EvidenceServicer,
) -> list[Service]:
    """What the aggregator's tools and drivers' apps call."""
    return [
        _service(
            transfer_service_pb2,
            "TransferService",
            transfer_service_pb2_grpc.add_TransferServiceServicer_to_server,
            transfers,
        ),
        _service(
            site_block_service_pb2,
            "SiteBlockService",
            site_block_service_pb2_grpc.add_SiteBlockServiceServicer_to_server,
            blocks,
            BLOCK_FAILURES,
        ),
        _service(
            fleet_service_pb2,
            "FleetService",
            fleet_service_pb2_grpc.add_FleetServiceServicer_to_server,
            fleet,
            BLOCK_FAILURES,
        ),
        _service(
            driver_service_pb2,
            "DriverService",
            driver_service_pb2_grpc.add_DriverServiceServicer_to_server,
            drivers,
        ),
        _service(
            audit_service_pb2,
            "AuditService",
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            audit,
        ),
        _service(
            evidence_service_pb2,
            "EvidenceService",
            evidence_service_pb2_grpc.add_EvidenceServiceServicer_to_server,
            evidence,
            EVIDENCE_FAILURES,
        ),
    ]


def _service(
    module: Any,
    service: str,
    register: Callable[[Any, Any], None],
    servicer: object,
    failures: FailureTable = NO_FAILURES,
) -> Service:
    name = module.DESCRIPTOR.services_by_name[service].full_name
    return Service(name=name, register=partial(register, servicer), failures=_with_wire(failures))


def _with_wire(failures: FailureTable) -> FailureTable:
    """Every service refuses what cannot be parsed in the same words."""
    return FailureTable({WireError: _MALFORMED, **failures.entries})
