"""The exchange without its sockets: a call in, an answer out, state in the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from gridcord.protocols.jepx import ErrorCode, MessageError, Request, Response, Status, calls
from gridcord.protocols.jepx.board import Notice
from gridcord.simulation.exchange.background import Depth
from gridcord.simulation.exchange.day_ahead import DayAhead
from gridcord.simulation.exchange.intraday import Intraday
from gridcord.simulation.exchange.prices import PriceSeries
from gridcord.simulation.exchange.schedule import AuctionGate
from gridcord.simulation.exchange.state import State

Listener = Callable[[Sequence[Notice]], None]


class Exchange:
    """Both markets and who may use them.

    Args:
        state: What is kept.
        prices: What the markets follow.
        members: Ids that may call.
        depth: How deep the markets are.
        shown_areas: Areas whose intraday quotes stand from the start.
        gate: When the auction of a day is held.
    """

    def __init__(
        self,
        *,
        state: State,
        prices: PriceSeries,
        members: frozenset[str],
        depth: Depth | None = None,
        shown_areas: Sequence[str] = (),
        gate: AuctionGate | None = None,
    ) -> None:
        self._members = members
        self._listeners: list[Listener] = []
        self.suspended: set[tuple[date, str]] = set()
        self._day_ahead = DayAhead(
            state=state, prices=prices, depth=depth or Depth(), gate=gate or AuctionGate()
        )
        self._intraday = Intraday(
            state=state,
            prices=prices,
            depth=depth or Depth(),
            shown_areas=shown_areas,
            suspended=self.suspended,
            tell=self._tell,
        )

    def answer(self, request: Request, now_s: float) -> Response:
        """Process a call.

        Args:
            request: The call.
            now_s: Seconds since 1970 UTC.
        """
        if request.member not in self._members:
            return Response(status=Status.NOT_ENTITLED, body={})
        self.tick(now_s)
        try:
            call = calls.parse_call(request.api, request.body)
            body = self._process(request.api, call, request.member, now_s)
        except MessageError as error:
            body = {"status": "400", "statusInfo": error.code.value}
        return Response(status=Status.PROCESSED, body=body)

    def tick(self, now_s: float) -> list[date]:
        """Hold the auctions that are due; returns their days."""
        return self._day_ahead.clear_due(now_s)

    def snapshot(self, now_s: float) -> list[Notice]:
        """Everything a stream of the intraday market begins with."""
        return self._intraday.snapshot(now_s)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener every change of the intraday market; returns how to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, notices: Sequence[Notice]) -> None:
        for listener in list(self._listeners):
            listener(notices)

    def _process(self, api: str, call: calls.Call, member: str, now_s: float) -> dict[str, Any]:
        match call:
            case calls.Offers():
                return calls.answer_json(api, info=self._day_ahead.offer(call, member, now_s))
            case calls.Deletions():
                return calls.answer_json(api, info=self._day_ahead.delete(call, member, now_s))
            case calls.OfDay():
                return self._of_day(api, call, member, now_s)
            case calls.OneOffer():
                number = self._intraday.offer(call, member, now_s)
                return {**calls.answer_json(api, info="1"), "bidNo": number}
            case calls.OneDeletion():
                number = self._intraday.delete(call, member, now_s)
                return {**calls.answer_json(api, info="1"), "bidNo": number}
            case calls.OfProduct():
                return self._of_product(api, call, member)
            case calls.Nothing():
                return self._of_nothing(api, now_s)

    def _of_day(self, api: str, call: calls.OfDay, member: str, now_s: float) -> dict[str, Any]:
        if api == calls.DAY_AHEAD_BIDS:
            return calls.answer_json(api, rows=self._day_ahead.bids(call, member))
        if api == calls.DAY_AHEAD_MARKET:
            return calls.answer_json(api, rows=self._day_ahead.market(call, now_s))
        return calls.answer_json(api, rows=self._day_ahead.results(call, member))

    def _of_product(self, api: str, call: calls.OfProduct, member: str) -> dict[str, Any]:
        if api == calls.INTRADAY_BIDS:
            return calls.answer_json(api, rows=self._intraday.bids(call, member))
        return calls.answer_json(api, rows=self._intraday.contracts(call, member))

    def _of_nothing(self, api: str, now_s: float) -> dict[str, Any]:
        if api == calls.KEEP_ALIVE:
            return calls.answer_json(api, info=calls.KEEP_ALIVE_INFO)
        if api == calls.INTRADAY_PRODUCTS:
            return calls.answer_json(api, rows=self._intraday.products(now_s))
        raise MessageError(ErrorCode.CODE, api)
