"""A TCP proxy that fails on demand: delays, trickles, swallows, corrupts, refuses, resets.

In a test:

    async with FaultProxy(target=("127.0.0.1", 8443)) as proxy:
        connect_to(proxy.port)
        proxy.fault = Fault.BLACKHOLE

In a demonstration, told by standard input or by a script of `fault:seconds` steps:

    python -m gridcord.testing.fault_proxy --target 127.0.0.1:8443 --script none:20,blackhole:40
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import socket
import struct
import sys
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Self

_CHUNK = 65_536
_TRICKLE_BYTES = 7
_TRICKLE_PAUSE_S = 0.001
_CORRUPT_SHARE = 0.3
# SO_LINGER with no time: closing sends RST, as a machine does that has lost its connections.
_ABORT = struct.pack("ii", 1, 0)

Address = tuple[str, int]


class Fault(StrEnum):
    """What the proxy does to every connection, old and new, until told otherwise."""

    NONE = "none"
    DELAY = "delay"  # each chunk waits
    TRICKLE = "trickle"  # a few bytes at a time
    BLACKHOLE = "blackhole"  # nothing passes and nobody is told; what was held passes when it ends
    CORRUPT = "corrupt"  # a bit of a chunk flips now and then
    REFUSE = "refuse"  # new connections are reset, old ones live


class Direction(StrEnum):
    """Which way a fault acts."""

    BOTH = "both"
    TO_TARGET = "to_target"
    TO_CLIENT = "to_client"


@dataclass(slots=True)
class Counts:
    """What happened so far."""

    connections: int = 0
    refused: int = 0
    resets: int = 0
    corrupted: int = 0
    bytes_to_target: int = 0
    bytes_to_client: int = 0


@dataclass(slots=True, eq=False)
class _Pipe:
    """One direction of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of a script.

    Args:
        fault: What to do; None to reset every connection.
        seconds: How long, >= 0.
    """

    fault: Fault | None
    seconds: float


def parse_script(text: str) -> tuple[Step, ...]:
    """Read steps such as `none:20,blackhole:40,reset`.

    Raises:
        ValueError: Not a script.
    """
    steps = []
    for part in text.split(","):
        name, _, seconds = part.strip().partition(":")
        fault = None if name == "reset" else Fault(name)
        steps.append(Step(fault=fault, seconds=float(seconds or 0)))
    return tuple(steps)


class FaultProxy:
    """The proxy. Use it as an asynchronous context.

    Args:
        target: Host and port to connect to.
        listen: Host and port to listen on; port 0 for any that is free.
        delay_s: Bounds of what a chunk waits under DELAY, seconds.
        seed: Of delays and corruption: the same traffic meets the same faults.
    """

    def __init__(
        self,
        target: Address,
        *,
        listen: Address = ("127.0.0.1", 0),
        delay_s: tuple[float, float] = (0.02, 0.2),
        seed: int = 0,
    ) -> None:
        self.counts = Counts()
        self.direction = Direction.BOTH
        self._target, self._listen, self._delay_s = target, listen, delay_s
        self._dice = random.Random(seed)
        self._fault = Fault.NONE
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, *self._listen)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop listening, reset what is open."""
        assert self._server is not None
        self._server.close()
        self.reset()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None, "the proxy is not running"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def fault(self) -> Fault:
        """What is done now. Set it to change it."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.BLACKHOLE:
            self._passing.clear()
        else:
            self._passing.set()

    def reset(self) -> None:
        """Break every open connection, both sides, with RST."""
        for writer in list(self._writers):
            self.counts.resets += 1
            _abort(writer)

    async def play(self, steps: tuple[Step, ...]) -> None:
        """Go through a script once."""
        for step in steps:
            if step.fault is None:
                self.reset()
            else:
                self.fault = step.fault
            await asyncio.sleep(step.seconds)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._connect(reader, writer)
        finally:
            self._connections.discard(task)
            _abort(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        if self.direction is not Direction.TO_CLIENT:
            await self._passing.wait()
        if self._fault is Fault.REFUSE:
            self.counts.refused += 1
            return
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            self.counts.refused += 1
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(
                self._pump(_Pipe(reader, back, Direction.TO_TARGET)),
                self._pump(_Pipe(there, writer, Direction.TO_CLIENT)),
            )
        finally:
            self._writers -= {writer, back}
            _abort(back)

    async def _pump(self, pipe: _Pipe) -> None:
        """Pass one direction on until it ends; an end is passed on too."""
        with contextlib.suppress(OSError):
            while chunk := await pipe.reader.read(_CHUNK):
                await self._pass(chunk, pipe)
            if pipe.writer.can_write_eof():
                pipe.writer.write_eof()
            return
        _abort(pipe.writer)

    async def _pass(self, chunk: bytes, pipe: _Pipe) -> None:
        acts = self.direction in {Direction.BOTH, pipe.direction}
        if acts:
            await self._passing.wait()
        match self._fault if acts else Fault.NONE:
            case Fault.DELAY:
                await asyncio.sleep(self._dice.uniform(*self._delay_s))
            case Fault.TRICKLE:
                await self._trickle(chunk, pipe)
                return
            case Fault.CORRUPT if self._dice.random() < _CORRUPT_SHARE:
                chunk = self._flip(chunk)
        await self._write(chunk, pipe)

    async def _trickle(self, chunk: bytes, pipe: _Pipe) -> None:
        for start in range(0, len(chunk), _TRICKLE_BYTES):
            await self._write(chunk[start : start + _TRICKLE_BYTES], pipe)
            if self._fault is Fault.TRICKLE:
                await asyncio.sleep(_TRICKLE_PAUSE_S)

    def _flip(self, chunk: bytes) -> bytes:
        self.counts.corrupted += 1
        changed = bytearray(chunk)
        changed[self._dice.randrange(len(changed))] ^= 1 << self._dice.randrange(8)
        return bytes(changed)

    async def _write(self, chunk: bytes, pipe: _Pipe) -> None:
        pipe.writer.write(chunk)
        await pipe.writer.drain()
        if pipe.direction is Direction.TO_TARGET:
            self.counts.bytes_to_target += len(chunk)
        else:
            self.counts.bytes_to_client += len(chunk)


def _abort(writer: asyncio.StreamWriter) -> None:
    plug = writer.get_extra_info("socket")
    if plug is not None and not writer.transport.is_closing():
        with contextlib.suppress(OSError):
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    target: Address
    listen: Address
    seed: int
    script: tuple[Step, ...] = field(default=())
    loop: bool = False


async def _run(options: _Options) -> None:
    stopped = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopped.set)
    async with FaultProxy(options.target, listen=options.listen, seed=options.seed) as proxy:
        print(f"listening on {options.listen[0]}:{proxy.port}", flush=True)
        teller = _follow(proxy, options) if options.script else _obey(proxy)
        driver = asyncio.ensure_future(teller)
        waiter = asyncio.ensure_future(stopped.wait())
        await asyncio.wait({driver, waiter}, return_when=asyncio.FIRST_COMPLETED)
        driver.cancel()
        waiter.cancel()
        print(json.dumps(asdict(proxy.counts)), flush=True)


async def _follow(proxy: FaultProxy, options: _Options) -> None:
    await proxy.play(options.script)
    while options.loop:
        await proxy.play(options.script)


async def _obey(proxy: FaultProxy) -> None:
    """Take one fault, or `reset`, per line of standard input, until it ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode():
        try:
            await proxy.play(parse_script(line.strip()))
        except ValueError as error:
            print(f"not understood: {error}", file=sys.stderr, flush=True)
        else:
            print(f"done: {line.strip()}", flush=True)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def main(arguments: list[str] | None = None) -> None:
    """Run the proxy as a program."""
    parser = argparse.ArgumentParser(prog="python -m gridcord.testing.fault_proxy")
    parser.add_argument("--target", type=_address, required=True, help="HOST:PORT to connect to")
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 0), help="HOST:PORT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--script",
        type=parse_script,
        default=(),
        help=f"steps FAULT:SECONDS or reset, comma separated; FAULT is one of {', '.join(Fault)};"
        " without it each line of standard input is a script",
    )
    parser.add_argument("--loop", action="store_true", help="repeat the script for ever")
    options = parser.parse_args(arguments)
    asyncio.run(_run(_Options(**vars(options))))


if __name__ == "__main__":
    main()
