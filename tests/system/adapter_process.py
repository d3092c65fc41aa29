"""A market adapter in a process of its own, which kills itself at a chosen step."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import gridcord.protocols.jepx
import market_adapter
from gridcord.testing.clock import ManualClock
from market_adapter.domain.bids import Bid
from market_adapter.profiles.reader import built_in_profile
from market_adapter.storage.store import MarketStore
from market_adapter.usecases.desk import Desk
from market_adapter.venues.jepx.connection import Endpoint, Pool
from market_adapter.venues.jepx.day_ahead import JepxDayAhead
from market_adapter.venues.jepx.intraday import JepxIntraday

_TRACED = tuple(
    str(Path(module.__path__[0])) for module in (market_adapter, gridcord.protocols.jepx)
)


@dataclass(frozen=True)
class Life:
    """What one process is to do before it ends.

    Args:
        folder: Holds the store and the exchange's certificate.
        port: Of the exchange.
        member: Of the exchange.
        market_id: The market.
        now_s: What its clock shows.
        bids: What the manager asks for.
        kill_at: SIGKILL itself just before the so-many-th line of source that it has not run
            before; 0 to live.
    """

    folder: Path
    port: int
    member: str
    market_id: str
    now_s: float
    bids: Sequence[Bid]
    kill_at: int


def live(life: Life) -> None:
    """Place the bids, go one round, write down how many lines of source that took."""
    steps = _Steps(life.kill_at)
    sys.settrace(steps.trace)
    threading.settrace(steps.trace)
    asyncio.run(_trade(life))
    sys.settrace(None)
    (life.folder / "lines").write_text(str(len(steps.seen)))


async def _trade(life: Life) -> None:
    store = MarketStore(life.folder / "adapter.sqlite")
    clock = ManualClock(life.now_s)
    trust = ssl.create_default_context(cafile=life.folder / "tls" / "exchange.pem")
    endpoint = Endpoint(host="127.0.0.1", port=life.port, tls=trust, member=life.member)
    kind = JepxDayAhead if life.market_id == "jepx.dayahead" else JepxIntraday
    venue = kind(
        profile=built_in_profile(life.market_id),
        pool=Pool(endpoint=endpoint, clock=clock),
        contract_code="ABCD8",
        clock=clock,
        settle_s=0.0,
    )
    desk = Desk(store=store, venues={life.market_id: venue}, clock=clock)
    await desk.place(life.bids)
    await desk.round(life.market_id)
    await venue.close()
    store.close()


class _Steps:
    """Counts lines of the adapter's own source as they are run for the first time."""

    def __init__(self, kill_at: int) -> None:
        self._kill_at = kill_at
        self.seen: set[tuple[str, int]] = set()

    def trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(_TRACED) else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.seen.add((frame.f_code.co_filename, frame.f_lineno))
            if len(self.seen) == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._line
