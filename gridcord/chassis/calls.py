"""The calls that are open in this process, so that somebody can end them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from gridcord.chassis.admission import Admission
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import Peer


@dataclass(slots=True, eq=False)
class OpenCall:
    """One RPC that a task is serving.

    Args:
        method: Full method.
        peer: Who called.
        task: The task that serves it.
        ended: Why somebody else ended it; None while nobody did.
    """

    method: str
    peer: Peer
    task: asyncio.Task[object]
    ended: Failure | None = None

    def end(self, failure: Failure) -> None:
        """End the call with `failure`; the first to end it says why.

        A call that goes on all the same can be ended again. One that ends itself is not
        interrupted: it fails when its handler returns.
        """
        if self.ended is None:
            self.ended = failure
        if self.task is not asyncio.current_task():
            self.task.cancel()


class OpenCalls:
    """All open calls of a server."""

    def __init__(self) -> None:
        self._calls: set[OpenCall] = set()

    def __len__(self) -> int:
        return len(self._calls)

    @contextmanager
    def opened(self, method: str, peer: Peer) -> Iterator[OpenCall]:
        """Register the current task as serving a call.

        Raises:
            Failure: Somebody ended the call.
        """
        task = asyncio.current_task()
        assert task is not None, "a call is served by a task"
        call = OpenCall(method, peer, task)
        self._calls.add(call)
        try:
            yield call
        except (asyncio.CancelledError, Exception) as error:
            if call.ended is None or isinstance(error, grpc.aio.AbortError):
                raise  # the caller went away, or has his answer
            while task.cancelling():
                task.uncancel()
            raise call.ended from error
        else:
            if call.ended is not None:
                raise call.ended
        finally:
            self._calls.discard(call)

    def end(self, failure: Failure, *, which: Callable[[OpenCall], bool]) -> None:
        """End the calls that `which` selects."""
        for call in [call for call in self._calls if which(call)]:
            call.end(failure)

    def review(self, admission: Admission) -> None:
        """End every call whose peer is refused now."""
        for call in list(self._calls):
            if (failure := admission.refusal(call.peer)) is not None:
                call.end(failure)
