"""What a process needs before its event loop starts."""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog
from google.protobuf.internal import api_implementation

Result = TypeVar("Result")

FEW_FILES = 1024
MANY_FILES = 65_536  # a connection is a file
_GENERATIONS = (200_000, 50, 1000)

log = structlog.get_logger()


class SlowProtobuf(RuntimeError):
    """Protobuf runs without its C library: fifty times slower, so it is an installation fault."""


def run(main: Coroutine[Any, Any, Result], *, files: int = FEW_FILES) -> Result:
    """Prepare the process and run `main` on uvloop where it is installed.

    Args:
        main: The program.
        files: Open files wanted: one a connection, and some; `MANY_FILES` for a server of fleets.

    Raises:
        SlowProtobuf: The installation would be too slow to use.
    """
    try:
        require_fast_protobuf()
    except SlowProtobuf:
        main.close()
        raise
    raise_file_limit(files)
    calm_collector()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def require_fast_protobuf() -> None:
    """Check that protobuf is upb.

    Raises:
        SlowProtobuf: It is not.
    """
    if (kind := api_implementation.Type()) != "upb":
        message = f"protobuf is {kind!r}, not 'upb': install its wheel for this machine"
        raise SlowProtobuf(message)


def raise_file_limit(wanted: int) -> int:
    """Raise the limit of open files towards `wanted`.

    Returns:
        The limit now; a lower one than wanted is logged, since connections above it are refused.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    best = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < best:
        resource.setrlimit(resource.RLIMIT_NOFILE, (best, hard))
        soft = best
    if soft != resource.RLIM_INFINITY and soft < wanted:
        log.warning("file_limit.low", limit=soft, wanted=wanted)
    return soft


def calm_collector() -> None:
    """Let the garbage collector pass over what lives for ever; its default costs 40 % here."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GENERATIONS)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
