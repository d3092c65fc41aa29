"""The fault proxy, against an echo server on real sockets."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gridcord.testing.fault_proxy import Direction, Fault, FaultProxy, Step, parse_script

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def proxied(
    seed: int = 0, serve: Callable[..., Awaitable[None]] = _echo
) -> AsyncIterator[FaultProxy]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()
    async with FaultProxy(target, seed=seed, delay_s=(0.001, 0.002)) as proxy:
        yield proxy
    server.close()


async def connect(proxy: FaultProxy) -> Streams:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def echo(streams: Streams, message: bytes) -> bytes:
    streams[1].write(message)
    await streams[1].drain()
    return await streams[0].readexactly(len(message))


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(scenario(), 60)

    asyncio.run(limited())


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.DELAY, Fault.TRICKLE])
def test_everything_passes_in_order(fault: Fault) -> None:
    async def scenario() -> None:
        async with proxied() as proxy:
            proxy.fault = fault
            streams = await connect(proxy)
            message = bytes(range(256)) * 10
            assert await echo(streams, message) == message
            streams[1].write_eof()
            assert await streams[0].read() == b""
            assert proxy.counts.connections == 1
            assert proxy.counts.bytes_to_target == proxy.counts.bytes_to_client == len(message)

    run(scenario)


def test_a_black_hole_holds_and_then_lets_pass() -> None:
    async def scenario() -> None:
        async with proxied() as proxy:
            streams = await connect(proxy)
            assert await echo(streams, b"before") == b"before"
            proxy.fault = Fault.BLACKHOLE
            waiting = asyncio.ensure_future(echo(streams, b"held"))
            late = asyncio.ensure_future(connect(proxy))
            await asyncio.wait({waiting}, timeout=0.2)
            assert not waiting.done()
            proxy.fault = Fault.NONE
            assert await waiting == b"held"
            assert await echo(await late, b"new") == b"new"

    run(scenario)


def test_a_fault_may_act_one_way_only() -> None:
    async def scenario() -> None:
        arrived = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readexactly(8) == b"question"
            writer.write(b"answer")
            await writer.drain()
            arrived.set()
            writer.close()

        async with proxied(serve=serve) as proxy:
            proxy.direction = Direction.TO_CLIENT
            proxy.fault = Fault.BLACKHOLE
            streams = await connect(proxy)
            waiting = asyncio.ensure_future(streams[0].readexactly(6))
            streams[1].write(b"question")
            await arrived.wait()
            await asyncio.wait({waiting}, timeout=0.1)
            assert not waiting.done()
            proxy.fault = Fault.NONE
            assert await waiting == b"answer"

    run(scenario)


def test_a_reset_breaks_what_is_open_and_nothing_else() -> None:
    async def scenario() -> None:
        async with proxied() as proxy:
            streams = await connect(proxy)
            await echo(streams, b"x")
            proxy.reset()
            with pytest.raises(ConnectionResetError):
                await streams[0].readexactly(1)
            assert await echo(await connect(proxy), b"again") == b"again"
            assert proxy.counts.resets == 2

    run(scenario)


def test_refusing_leaves_old_connections_alone() -> None:
    async def scenario() -> None:
        async with proxied() as proxy:
            old = await connect(proxy)
            await echo(old, b"x")
            proxy.fault = Fault.REFUSE
            new = await connect(proxy)
            with pytest.raises(ConnectionResetError):
                await new[0].readexactly(1)
            assert await echo(old, b"y") == b"y"
            assert proxy.counts.refused == 1

    run(scenario)


def test_a_target_that_is_not_there_is_a_reset() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        target = server.sockets[0].getsockname()
        server.close()
        await server.wait_closed()
        async with FaultProxy(target) as proxy:
            reader, _ = await connect(proxy)
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)

    run(scenario)


def _corrupted(seed: int) -> list[bytes]:
    async def collect() -> list[bytes]:
        async with proxied(seed) as proxy:
            proxy.direction = Direction.TO_TARGET
            proxy.fault = Fault.CORRUPT
            streams = await connect(proxy)
            answers = [await echo(streams, b"\0" * 64) for _ in range(30)]
            wrong = [answer for answer in answers if answer != b"\0" * 64]
            assert len(wrong) == proxy.counts.corrupted > 0
            assert all(sum(byte.bit_count() for byte in answer) == 1 for answer in wrong)
            return answers

    return asyncio.run(asyncio.wait_for(collect(), 60))


def test_corruption_flips_single_bits_and_repeats_with_its_seed() -> None:
    assert _corrupted(1) == _corrupted(1) != _corrupted(2)


def test_a_script_is_read_and_played() -> None:
    steps = parse_script("none:20, blackhole:1.5,reset")
    assert steps == (
        Step(fault=Fault.NONE, seconds=20.0),
        Step(fault=Fault.BLACKHOLE, seconds=1.5),
        Step(fault=None, seconds=0.0),
    )
    with pytest.raises(ValueError, match="earthquake"):
        parse_script("earthquake:3")

    async def scenario() -> None:
        async with proxied() as proxy:
            streams = await connect(proxy)
            await echo(streams, b"x")
            await proxy.play(parse_script("reset,refuse:0"))
            assert proxy.fault is Fault.REFUSE
            with pytest.raises(ConnectionResetError):
                await streams[0].readexactly(1)

    run(scenario)


def _program(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gridcord.testing.fault_proxy", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_as_a_program_it_is_told_by_lines() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        program = _program("--target", f"127.0.0.1:{port}")
        assert program.stdin is not None
        assert program.stdout is not None
        try:
            listening = await asyncio.to_thread(program.stdout.readline)
            through = int(listening.rpartition(":")[2])
            streams = await asyncio.open_connection("127.0.0.1", through)
            assert await echo(streams, b"hello") == b"hello"
            program.stdin.write("earthquake\nreset\n")
            program.stdin.flush()
            assert await asyncio.to_thread(program.stdout.readline) == "done: reset\n"
            with pytest.raises(ConnectionResetError):
                await streams[0].readexactly(1)
            out, err = await asyncio.to_thread(program.communicate)
            assert json.loads(out)["bytes_to_target"] == 5
            assert "earthquake" in err
        finally:
            program.kill()
            program.wait()
            server.close()

    run(scenario)


def test_as_a_program_it_follows_a_script_and_ends() -> None:
    program = _program("--target", "127.0.0.1:9", "--script", "delay:0,reset")
    out, err = program.communicate(timeout=60)

    assert program.returncode == 0, err
    assert json.loads(out.splitlines()[1])["connections"] == 0
