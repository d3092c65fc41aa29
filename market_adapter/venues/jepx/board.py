"""The intraday board: follows the exchange's stream and finds its way back when it is lost.

A stream starts with everything and goes on with changes (ITN1001), so everything is a change of
an empty board. Whatever goes wrong, the connection, a level that would fall below nothing, too
long a silence, the board is emptied and the stream begun again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date

from gridcord.chassis.clock import Clock
from gridcord.protocols.jepx import ProtocolError, Request, Status, calls, parse_response
from gridcord.protocols.jepx.board import BoardNotice, Notice, TradeNotice
from market_adapter.ports import VenueUnavailable
from market_adapter.venues.jepx.connection import Connection, Endpoint, NotEntitled

_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0

Level = tuple[date, str, str, bool, int]
"""Delivery day, timeCd, areaGroupCd, is buy, price in JPY/MWh."""


class BoardDrift(Exception):
    """The stream's changes do not add up: something was missed."""


@dataclass(slots=True)
class Board:
    """Open volume per price, and trades, as one stream told them."""

    open_w: dict[Level, int] = field(default_factory=dict)
    last_trades: dict[tuple[date, str], TradeNotice] = field(default_factory=dict)

    def apply(self, notice: Notice) -> None:
        """Take a change.

        Raises:
            BoardDrift: More is taken away than was there.
        """
        if isinstance(notice, TradeNotice):
            self.last_trades[notice.delivery_date, notice.time_cd] = notice
            return
        level = _level(notice)
        open_w = self.open_w.pop(level, 0) + notice.change_w
        if open_w < 0:
            message = f"{level} would fall to {open_w} W"
            raise BoardDrift(message)
        if open_w:
            self.open_w[level] = open_w

    def best(self, *, day: date, time_cd: str, area_group_cd: str) -> tuple[int | None, int | None]:
        """Highest want and lowest offer of a half hour and group of areas, JPY/MWh."""
        here = [k for k in self.open_w if k[:3] == (day, time_cd, area_group_cd)]
        wants = [price for *_, is_buy, price in here if is_buy]
        offers = [price for *_, is_buy, price in here if not is_buy]
        return max(wants, default=None), min(offers, default=None)


def _level(notice: BoardNotice) -> Level:
    return (
        notice.delivery_date,
        notice.time_cd,
        notice.area_group_cd,
        notice.is_buy,
        notice.price_jpy_per_mwh,
    )


class BoardStream:
    """Keeps a board up to date over its own connection.

    Args:
        endpoint: Where the exchange is.
        clock: For waiting.
        silence_s: A stream that says nothing for so long, real seconds, is begun again.
    """

    def __init__(self, *, endpoint: Endpoint, clock: Clock, silence_s: float = 120.0) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._silence_s = silence_s
        self.board = Board()
        self.restarts = 0

    async def notices(self) -> AsyncGenerator[Notice | None]:
        """Every change, after `board` has taken it, for ever; None when the board was emptied.

        Raises:
            NotEntitled: The exchange does not serve this member.
        """
        wait_s = _SHORTEST_WAIT_S
        while True:
            self.board = Board()
            yield None
            try:
                async with aclosing(self._once()) as changes:
                    async for notice in changes:
                        wait_s = _SHORTEST_WAIT_S
                        yield notice
            except NotEntitled:
                raise
            except (BoardDrift, ProtocolError, OSError, TimeoutError, VenueUnavailable):
                self.restarts += 1
            await self._clock.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)

    async def _once(self) -> AsyncGenerator[Notice]:
        connection = await Connection.open(self._endpoint)
        try:
            await connection.send(_subscription(self._endpoint))
            while True:
                async with asyncio.timeout(self._silence_s):
                    frames = await connection.frames()
                for frame in frames:
                    response = parse_response(frame)
                    if response.status is Status.NOT_ENTITLED:
                        message = "the exchange does not stream to this member"
                        raise NotEntitled(message)
                    for notice in _notices(response.body):
                        self.board.apply(notice)
                        yield notice
        finally:
            connection.close()


def _subscription(endpoint: Endpoint) -> Request:
    return Request(member=endpoint.member, api=calls.INTRADAY_STREAM, body={})


def _notices(body: Mapping[str, object]) -> list[Notice]:
    answer = calls.parse_answer(calls.INTRADAY_STREAM, body)
    if answer.status != "200":
        message = f"the exchange refused the stream: {answer.info}"
        raise VenueUnavailable(message)
    return list(answer.rows)
