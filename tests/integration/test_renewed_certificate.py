"""The manager's calls to its adapters show the certificate that is on the disk when they begin."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gridcord.api.utility.v1 import utility_service_pb2 as pb
from gridcord.chassis.authorization import ANYBODY, Policy
from gridcord.chassis.credentials import load_identity
from gridcord.chassis.identity import caller
from gridcord.clients.connector import Connector
from gridcord.units import Period, SiteId
from manager.clients.utility import GrpcUtility
from manager.ports import PeerUnavailable
from tests.integration.chassis.loopback import DEADLINE_S, DOMAIN, NAME, Pki, serving

OTHER = f"spiffe://{DOMAIN}/manager/other"  # who calls; who serves keeps its own certificate
SITE = SiteId("obis:4530303033")
PERIOD = Period(1_800_000_000 - 1_800_000_000 % 1800, 1800)
_SERVICE = "/gridcord.api.utility.v1.UtilityService/"
READINGS, WATCH = f"{_SERVICE}ListReadings", f"{_SERVICE}WatchReadings"


class Adapter:
    """Notes which certificate each call shows; a stream lasts until it is let go."""

    def __init__(self) -> None:
        self.unary: list[str] = []
        self.streams: list[str] = []
        self.let_go = asyncio.Event()

    async def list_readings(self, _request: object, _context: object) -> pb.ListReadingsResponse:
        self.unary.append(caller().serial)
        return pb.ListReadingsResponse()

    async def watch(
        self, _request: object, context: Any
    ) -> AsyncIterator[pb.WatchReadingsResponse]:
        self.streams.append(caller().serial)
        yield pb.WatchReadingsResponse(cursor="alive")
        await self.let_go.wait()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the adapter goes down")

    def handlers(self) -> dict[str, Any]:
        """As gRPC wants them."""
        return {
            READINGS: grpc.unary_unary_rpc_method_handler(
                self.list_readings,
                request_deserializer=pb.ListReadingsRequest.FromString,
                response_serializer=pb.ListReadingsResponse.SerializeToString,
            ),
            WATCH: grpc.unary_stream_rpc_method_handler(
                self.watch,
                request_deserializer=pb.WatchReadingsRequest.FromString,
                response_serializer=pb.WatchReadingsResponse.SerializeToString,
            ),
        }


async def ask(utility: GrpcUtility) -> None:
    assert await utility.readings(SITE, PERIOD, 1) == []


def test_a_renewed_certificate_is_shown_by_the_next_call_and_the_next_stream(
    tmp_path: Path,
) -> None:
    pki = Pki(tmp_path / "pki")
    files = pki.files(OTHER)
    before = load_identity(files).own.serial

    async def scenario(adapter: Adapter) -> None:
        policy = Policy(dict.fromkeys(adapter.handlers(), ANYBODY))
        async with serving(pki, handlers=adapter.handlers(), policy=policy) as served:
            utility = GrpcUtility(Connector(served.address, files=files, expect=NAME))
            stream = utility.watch_readings("")
            assert await anext(stream) == (None, "alive")
            await ask(utility)
            renewed = pki.folder.renew(
                files.certificate.parent, now_s=time.time(), with_new_key=True
            )
            await ask(utility)
            await ask(utility)
            assert adapter.unary == [before, renewed.serial, renewed.serial]
            assert adapter.streams == [before]  # a running stream is not torn
            adapter.let_go.set()
            with pytest.raises(PeerUnavailable, match="utility"):
                await anext(stream)
            again = utility.watch_readings("")
            assert await anext(again) == (None, "alive")
            assert adapter.streams == [before, renewed.serial]
            with pytest.raises(PeerUnavailable):
                await anext(again)
            await ask(utility)

    async def run() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await scenario(Adapter())

    asyncio.run(run())
