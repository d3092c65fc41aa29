"""What the manager takes of a utility's answer about a site, and what it must not take."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc

from gridcord.api.utility.v1 import utility_service_pb2 as pb
from gridcord.chassis.authorization import ANYBODY, Policy
from gridcord.clients.connector import Connector
from gridcord.units import SiteId
from manager.clients.utility import GrpcUtility
from tests.integration.chassis.loopback import DOMAIN, NAME, Pki, serving

SITE = SiteId("jp.routeb:0011223344556677")
GET_SITE = "/gridcord.api.utility.v1.UtilityService/GetSite"
SECRETS = ("00112233445566778899AABBCCDDEEFF", "AB0123456789")


async def _registered(_request: object, _context: object) -> pb.GetSiteResponse:
    identity, password = SECRETS
    site = pb.Site(
        site_id=SITE, rated_power_w=6_000, route_b_id=identity, route_b_password=password
    )
    return pb.GetSiteResponse(site=site)


def test_route_b_secrets_of_a_register_end_at_the_edge(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    files = pki.files(f"spiffe://{DOMAIN}/manager/other")
    handlers: dict[str, Any] = {
        GET_SITE: grpc.unary_unary_rpc_method_handler(
            _registered,
            request_deserializer=pb.GetSiteRequest.FromString,
            response_serializer=pb.GetSiteResponse.SerializeToString,
        )
    }

    async def scenario() -> None:
        policy = Policy({GET_SITE: ANYBODY})
        async with serving(pki, handlers=handlers, policy=policy) as served:
            utility = GrpcUtility(Connector(served.address, files=files, expect=NAME))
            site = await utility.site(SITE, None)
        assert site is not None
        assert site.rated_power_w == 6_000
        assert not any(secret in repr(site) for secret in SECRETS)

    asyncio.run(scenario())
