"""A server's life: health, reflection, drain, local socket, rotation of its certificate."""

from __future__ import annotations

import asyncio
import socket
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gridcord.chassis.admission import Admission
from gridcord.chassis.authorization import Policy
from gridcord.chassis.channel import open_local_channel
from gridcord.chassis.clock import SystemClock
from gridcord.chassis.credentials import CredentialsError, TlsFiles, server_credentials
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import parse_principal
from gridcord.chassis.server import SERVER_DRAINING, BindError, LocalSocket, Server
from tests.integration.chassis import http2
from tests.integration.chassis.loopback import (
    CABLE,
    DOMAIN,
    ECHO,
    HOLD,
    MANAGER,
    SERVICE,
    WHO,
    Pki,
    bidirectional,
    failure,
    serving,
    who,
)

VIEWER = f"spiffe://{DOMAIN}/operator/viewer/vera"
INSTALLER = parse_principal(f"spiffe://{DOMAIN}/operator/operator/local")

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("service", ["", SERVICE])
def test_health_is_open_to_everybody_admitted(pki: Pki, service: str) -> None:
    async def scenario() -> Any:
        async with serving(pki, policy=Policy({})) as served, served.channel() as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            return answer.status

    assert asyncio.run(scenario()) == SERVING


def test_a_server_may_say_that_it_cannot_serve_now(pki: Pki) -> None:
    async def scenario() -> list[Any]:
        statuses = []
        async with serving(pki) as served, served.channel() as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service=SERVICE)
            )
            statuses.append((await watch.read()).status)
            for able in (False, True):
                await served.server.set_serving(serving=able)
                statuses.append((await watch.read()).status)
        return statuses

    assert asyncio.run(scenario()) == [SERVING, NOT_SERVING, SERVING]


async def _services(channel: Any) -> list[str]:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    async for answer in stub.ServerReflectionInfo(iter([request])):
        return [service.name for service in answer.list_services_response.service]
    return []


def test_reflection_is_for_operators(pki: Pki) -> None:
    async def scenario() -> tuple[list[str], str]:
        async with (
            serving(pki) as served,
            served.channel(VIEWER) as operator,
            served.channel(CABLE) as cable,
        ):
            try:
                await _services(cable)
            except grpc.aio.AioRpcError as error:
                return await _services(operator), error.code().name
            return [], "served"

    services, refused = asyncio.run(scenario())
    assert SERVICE in services
    assert refused == "PERMISSION_DENIED"


def test_reflection_can_be_switched_off(pki: Pki) -> None:
    async def scenario() -> None:
        async with serving(pki, with_reflection=False) as served, served.channel(VIEWER) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await _services(channel)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    asyncio.run(scenario())


def test_a_drain_is_announced_before_anything_is_refused(pki: Pki) -> None:
    async def scenario() -> tuple[Any, str]:
        async with serving(pki) as served, served.channel() as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            watch = stub.Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == SERVING
            draining = asyncio.create_task(served.server.drain(grace_s=5, notice_s=1.0))
            announced = (await watch.read()).status
            still = await who(channel)
            await draining
            assert (await failure(watch)).reason == SERVER_DRAINING
            return announced, still

    assert asyncio.run(scenario()) == (NOT_SERVING, CABLE)


def test_a_stream_has_time_to_end_by_itself(pki: Pki) -> None:
    server: list[Server] = []

    async def polite(requests: Any, context: Any) -> AsyncIterator[bytes]:
        yield b"ready"
        await server[0].draining.wait()
        yield b"goodbye"

    async def scenario() -> tuple[list[bytes], float]:
        async with (
            serving(pki, handlers={ECHO: bidirectional(polite)}) as served,
            served.channel() as channel,
        ):
            server.append(served.server)
            call = channel.stream_stream(ECHO)()
            said = [await call.read()]
            begin_s = time.monotonic()
            await served.server.drain(grace_s=60)
            took_s = time.monotonic() - begin_s
            said.append(await call.read())
            assert await call.read() is grpc.aio.EOF
            return said, took_s

    said, took_s = asyncio.run(scenario())
    assert said == [b"ready", b"goodbye"]
    assert took_s < 30, "a drain ends when the last call does"


def test_a_stream_that_does_not_end_is_ended_and_told_why(pki: Pki) -> None:
    async def scenario() -> Failure:
        async with serving(pki) as served, served.channel() as channel:
            call = channel.stream_stream(HOLD)()
            assert await call.read() == b"held"
            await served.server.drain(grace_s=1.2)
            return await failure(call)

    told = asyncio.run(scenario())
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, SERVER_DRAINING)


def test_a_drained_server_takes_no_new_calls(pki: Pki) -> None:
    async def scenario() -> grpc.StatusCode:
        async with serving(pki) as served, served.channel() as channel:
            assert await who(channel) == CABLE
            await served.server.drain(grace_s=0)
            return (await failure(channel.unary_unary(WHO)(b"", timeout=10))).code

    assert asyncio.run(scenario()) is grpc.StatusCode.UNAVAILABLE


def test_the_local_socket_is_for_its_owner_who_is_known(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "node.sock"

    async def scenario() -> tuple[str, int]:
        local = LocalSocket(path=path, caller=INSTALLER)
        async with serving(pki, address=None, socket=local) as served:
            assert served.address == ""
            async with open_local_channel(str(path)) as channel:
                return await who(channel), stat.S_IMODE(path.stat().st_mode)

    known, mode = asyncio.run(scenario())
    assert known == str(INSTALLER)
    assert mode == 0o600
    assert not path.exists()


def test_a_socket_that_a_killed_process_left_is_replaced(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))

    async def scenario() -> str:
        local = LocalSocket(path=path, caller=INSTALLER)
        async with serving(pki, address=None, socket=local), open_local_channel(str(path)) as open_:
            return await who(open_)

    assert asyncio.run(scenario()) == str(INSTALLER)


def test_who_comes_over_tcp_is_not_taken_for_the_owner(pki: Pki, tmp_path: Path) -> None:
    async def scenario() -> str:
        local = LocalSocket(path=tmp_path / "node.sock", caller=INSTALLER)
        async with serving(pki, socket=local) as served, served.channel() as channel:
            return await who(channel)

    assert asyncio.run(scenario()) == CABLE


def test_a_socket_without_folder_is_named(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "absent" / "node.sock"

    async def scenario() -> None:
        async with serving(pki, address=None, socket=LocalSocket(path=path, caller=INSTALLER)):
            pass

    with pytest.raises(BindError, match="absent"):
        asyncio.run(scenario())


def test_there_is_no_service_without_tls() -> None:
    async def scenario() -> None:
        admission = Admission(domain=DOMAIN, clock=SystemClock())
        await Server(
            address="127.0.0.1:0",
            credentials=None,
            admission=admission,
            policy=Policy({}),
            services=(),
        ).start()

    with pytest.raises(BindError, match="TLS"):
        asyncio.run(scenario())


def _serial(address: str, pki: Pki) -> int:
    with http2.RawPeer(address, pki.files(CABLE)) as raw:
        return x509.load_der_x509_certificate(raw.certificate()).serial_number


def test_a_renewed_certificate_is_served_without_a_restart(pki: Pki, tmp_path: Path) -> None:
    own = Pki(tmp_path / "pki")
    files = own.files(MANAGER)

    async def scenario() -> tuple[int, int, int]:
        async with serving(own, files=files) as served, served.channel() as channel:
            before = await asyncio.to_thread(_serial, served.address, own)
            call = channel.stream_stream(ECHO)()
            peer = own.folder.renew(files.certificate.parent, now_s=time.time(), with_new_key=True)
            after = await asyncio.to_thread(_serial, served.address, own)
            await call.write(b"old connections live on")
            assert await call.read() == b"old connections live on"
            return before, after, int(peer.serial, 16)

    before, after, renewed = asyncio.run(scenario())
    assert after == renewed != before


def test_a_broken_certificate_file_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    own = Pki(tmp_path / "pki")
    files = own.files(MANAGER)
    assert files.key is not None
    good = files.key.read_bytes()

    async def scenario() -> list[str]:
        answers = []
        async with serving(own, files=files) as served:
            for content in (b"no key", good):
                assert files.key is not None
                files.key.write_bytes(content)
                async with served.channel() as channel:
                    answers.append(await who(channel))
        return answers

    assert asyncio.run(scenario()) == [CABLE, CABLE]


def test_new_roots_are_trusted_beside_the_old_ones(tmp_path: Path) -> None:
    old, new = Pki(tmp_path / "old"), Pki(tmp_path / "new")
    files = old.files(MANAGER)

    async def scenario() -> tuple[grpc.StatusCode, str, str]:
        async with serving(old, files=files) as served:
            both = files.roots.read_bytes() + new.files(CABLE).roots.read_bytes()
            expected = served.channel(credentials=old.credentials(CABLE))
            async with _trusting(served, new, old) as channel:
                refused = await failure(channel.unary_unary(WHO)(b"", timeout=10))
            files.roots.write_bytes(both)
            async with _trusting(served, new, old) as channel, expected:
                return refused.code, await who(channel), await who(expected)

    code, newcomer, veteran = asyncio.run(scenario())
    assert code is grpc.StatusCode.UNAVAILABLE
    assert newcomer == veteran == CABLE


def _trusting(served: Any, own: Pki, server: Pki) -> Any:
    """A channel with an identity of one authority that trusts a server of the other."""
    files = own.files(CABLE)
    assert files.key is not None
    credentials = grpc.ssl_channel_credentials(
        server.files(CABLE).roots.read_bytes(),
        files.key.read_bytes(),
        files.certificate.read_bytes(),
    )
    return served.channel(credentials=credentials)


def test_a_server_needs_a_key_file(pki: Pki) -> None:
    files = pki.files(MANAGER)
    keyless = TlsFiles(certificate=files.certificate, key=None, roots=files.roots)

    with pytest.raises(CredentialsError, match="key"):
        server_credentials(keyless)
