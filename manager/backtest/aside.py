"""Work in a second process, which ends with this one whatever happens."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

T = TypeVar("T")
_SPAWN = get_context("spawn")  # a fork would copy the solver's and the progress bar's threads


@contextmanager
def aside(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Do something beside the block.

    Args:
        work: It; it and its result can be pickled.

    Yields:
        Waits for the result; RuntimeError when the other process ended without one.
    """
    receiver, sender = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_told, args=(sender, work), daemon=True)
    process.start()
    sender.close()

    def result() -> T:
        try:
            found: T = receiver.recv()
        except EOFError:
            message = "the second process ended without a result"
            raise RuntimeError(message) from None
        return found

    try:
        yield result
    finally:
        process.kill()
        process.join()


def _told(sender: Connection, work: Callable[[], T]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first process, which ends us
    sender.send(work())
