"""Managers that ask the adapters anything: every answer is sensible or names what is wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from gridcord.api.market.v1 import market_service_pb2
from gridcord.api.utility.v1 import utility_service_pb2
from gridcord.chassis.authorization import services_of
from gridcord.chassis.channel import open_channel, server_name
from gridcord.chassis.credentials import client_credentials, load_identity
from gridcord.chassis.failures import failure_of
from gridcord.chassis.identity import Kind, Principal
from gridcord.chassis.pki import PkiFolder
from gridcord.simulation.processes import Program
from tests.integration.chance import EXPECTED, Chance, ask
from tests.integration.manager.conftest import DOMAIN
from tests.integration.manager.test_authorization import assert_tells_nothing

REQUESTS = 800
AT_ONCE = 8
SEED = 20_261_125
WITHIN_S = 30.0
WATCH_S = 0.2  # a watch that was not refused by then is ended

ADAPTERS = {
    "market_adapter": (Kind.MARKET, market_service_pb2.DESCRIPTOR, "market.db"),
    "utility_adapter": (Kind.UTILITY, utility_service_pb2.DESCRIPTOR, "utility.db"),
}


@contextmanager
def adapter(folder: Path, module: str) -> Iterator[tuple[Program, Callable[[], grpc.aio.Channel]]]:
    """An adapter's process, and what opens a channel to it as the manager."""
    kind, _, file = ADAPTERS[module]
    pki = PkiFolder(folder / "pki")
    pki.create(domain=DOMAIN, now_s=time.time() - 60)
    own, manager = (
        pki.issue(Principal(domain=DOMAIN, kind=each, id="main"), now_s=time.time() - 60)
        for each in (kind, Kind.MANAGER)
    )
    tables: dict[str, dict[str, Any]] = {
        "tls": {"certificate": own.certificate, "key": own.key, "roots": own.roots},
        "store": {"file": str(folder / file)},
        "log": {"format": "json"},
    }
    if kind is Kind.UTILITY:
        tables["inbox"] = {"folder": str(folder / "inbox")}
    program = Program(module, folder / module, tables)
    program.start()
    try:
        address = str(program.wait_ready()["grpc"])
        credentials = client_credentials(load_identity(manager))
        expect = server_name(kind, DOMAIN)
        yield program, lambda: open_channel(address, credentials=credentials, expect=expect)
    finally:
        program.stop()


@pytest.mark.parametrize("module", ADAPTERS)
def test_whatever_a_manager_asks_no_bug_answers(tmp_path: Path, module: str) -> None:
    methods: list[MethodDescriptor] = [
        method for service in services_of(ADAPTERS[module][1]) for method in service.methods
    ]
    calls = [method for method in methods if not method.server_streaming]
    watches = [method for method in methods if method.server_streaming]
    chance = Chance(SEED, {"page_size": 10, "page_token": "", "market_id": "jepx.dayahead"})

    async def try_them(
        channel: grpc.aio.Channel, tried: list[MethodDescriptor], count: int, within_s: float
    ) -> None:
        numbers = iter(range(count))

        async def keep_asking() -> None:
            for number in numbers:
                method = tried[number % len(tried)]
                several = chance.random.choice((1, 3)) if method.client_streaming else 1
                sent = [chance.message(method.input_type) for _ in range(several)]
                error = await ask(channel, method, sent, within_s=within_s)
                if error is None:
                    continue
                lasted = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                assert error.code() in EXPECTED or (lasted and method in watches), (
                    method.name,
                    sent,
                    error,
                )
                assert_tells_nothing(failure_of(error))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(keep_asking())

    async def scenario(connect: Callable[[], grpc.aio.Channel]) -> None:
        async with connect() as channel:
            await try_them(channel, calls, REQUESTS, WITHIN_S)
            await try_them(channel, watches, REQUESTS // 10, WATCH_S)

    with adapter(tmp_path, module) as (program, connect):
        asyncio.run(scenario(connect))
        told = [json.loads(line) for line in program.log.read_text().splitlines()]
    ended = {each["status"] for each in told if each["event"] == "rpc.ended"}
    assert {"OK", "INVALID_ARGUMENT"} <= ended
    assert not ended & {"INTERNAL", "UNKNOWN"}
