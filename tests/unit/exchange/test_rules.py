"""The simulated exchange's rules, call by call."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridcord.protocols.jepx import FrameDecoder, Request, Status, calls, encode_request, fields
from gridcord.protocols.jepx.board import BoardNotice, Notice, TradeNotice
from gridcord.simulation.exchange import tls
from gridcord.simulation.exchange.background import Depth
from gridcord.simulation.exchange.prices import TablePrices
from gridcord.simulation.exchange.rules import Exchange
from gridcord.simulation.exchange.server import ExchangeServer, Timing
from gridcord.simulation.exchange.state import State
from gridcord.testing.clock import ManualClock

DAY = date(2026, 11, 24)
BEFORE_GATE = datetime(2026, 11, 23, 0, tzinfo=UTC).timestamp()  # 9:00 JST the day before
AFTER_GATE = datetime(2026, 11, 23, 1, tzinfo=UTC).timestamp()  # 10:00
INTRADAY = datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()  # 18:00
PRICES = TablePrices(table={("3", DAY, n): 20_000 for n in range(1, 49)} | {("9", DAY, 1): 5_000})


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "exchange.sqlite")
    yield state
    state.close()


@pytest.fixture
def exchange(state: State) -> Exchange:
    return Exchange(
        state=state,
        prices=PRICES,
        members=frozenset({"0841", "0842"}),
        depth=Depth(steps=3, step_wh=100_000),
        shown_areas=["3"],
    )


def offer(bid_type: str = "SELL-LIMIT", *, time_cd: str = "37", **more: Any) -> dict[str, Any]:
    return {
        "deliveryDate": "2026-11-24",
        "areaCd": "3",
        "timeCd": time_cd,
        "bidTypeCd": bid_type,
        "price": 50_000,
        "volume": Decimal("0.1"),
        "deliveryContractCd": "ABCD8",
        "note": "n",
        **more,
    }


def call(
    exchange: Exchange, api: str, body: dict[str, Any], now_s: float, member: str = "0841"
) -> dict[str, Any]:
    response = exchange.answer(Request(member=member, api=api, body=body), now_s)
    assert response.status is Status.PROCESSED
    return dict(response.body)


OF_DAY = {"deliveryDate": "2026-11-24"}
OF_PRODUCT = {**OF_DAY, "timeCd": "37"}


def test_a_stranger_is_told_so_in_the_header(exchange: Exchange) -> None:
    response = exchange.answer(Request(member="9999", api="DAH1002", body=OF_DAY), BEFORE_GATE)
    assert (response.status, response.body) == (Status.NOT_ENTITLED, {})


def test_offers_are_taken_all_or_none(exchange: Exchange) -> None:
    bad = offer(price=5)
    answer = call(exchange, "DAH1001", {"bidOffers": [offer(), bad]}, BEFORE_GATE)
    assert answer == {"status": "400", "statusInfo": "unit"}
    late = offer(deliveryDate="2026-12-24")
    answer = call(exchange, "DAH1001", {"bidOffers": [offer(), late]}, BEFORE_GATE)
    assert answer["statusInfo"] == "schedule"
    assert call(exchange, "DAH1002", OF_DAY, BEFORE_GATE)["bids"] == []
    answer = call(exchange, "DAH1001", {"bidOffers": [offer(), offer()]}, BEFORE_GATE)
    assert answer == {"status": "200", "statusInfo": "2"}
    assert "bidNo" not in answer
    bids = call(exchange, "DAH1002", OF_DAY, BEFORE_GATE)["bids"]
    assert [len(bid["bidNo"]) for bid in bids] == [10, 10]


def test_members_see_and_delete_only_their_own(exchange: Exchange) -> None:
    call(exchange, "DAH1001", {"bidOffers": [offer()]}, BEFORE_GATE, "0841")
    [bid] = call(exchange, "DAH1002", OF_DAY, BEFORE_GATE, "0841")["bids"]
    assert call(exchange, "DAH1002", OF_DAY, BEFORE_GATE, "0842")["bids"] == []
    deletion = {**OF_DAY, "bidDels": [{"bidNo": bid["bidNo"]}]}
    answer = call(exchange, "DAH1003", deletion, BEFORE_GATE, "0842")
    assert answer == {"status": "400", "statusInfo": "none"}
    assert call(exchange, "DAH1003", deletion, BEFORE_GATE)["statusInfo"] == "1"
    assert call(exchange, "DAH1003", deletion, BEFORE_GATE)["statusInfo"] == "none"
    call(exchange, "DAH1001", {"bidOffers": [offer(), offer()]}, BEFORE_GATE)
    assert call(exchange, "DAH1003", OF_DAY, BEFORE_GATE)["statusInfo"] == "2"


def test_after_the_gate_nothing_moves_and_results_are_there(exchange: Exchange) -> None:
    offers = [
        offer(price=0, note="cheap"),
        offer(note="dear"),
        offer("BUY-MARKET", time_cd="01", areaCd="9", note="market"),
        offer(areaCd="1", note="no series"),
    ]
    call(exchange, "DAH1001", {"bidOffers": offers}, BEFORE_GATE)
    assert call(exchange, "DAH1004", OF_DAY, BEFORE_GATE)["bidResults"] == []
    assert call(exchange, "DAH1050", OF_DAY, BEFORE_GATE)["marketResults"] == []
    answer = call(exchange, "DAH1001", {"bidOffers": [offer()]}, AFTER_GATE)
    assert answer["statusInfo"] == "schedule"
    assert call(exchange, "DAH1003", OF_DAY, AFTER_GATE)["statusInfo"] == "schedule"
    results = {
        row["note"]: (row["contractPrice"], row["contractVolume"])
        for row in call(exchange, "DAH1030", OF_DAY, AFTER_GATE)["contractResults"]
    }
    assert results == {
        "cheap": (20_000, 0.1),
        "dear": (20_000, 0.0),
        "market": (5_000, 0.1),
        "no series": (None, 0.0),
    }
    market = call(exchange, "DAH1050", OF_DAY, AFTER_GATE)["marketResults"]
    assert len(market) == 48
    assert market[0]["areaResults"] == [
        {"areaCd": "3", "areaPrice": 20_000},
        {"areaCd": "9", "areaPrice": 5_000},
    ]


def test_an_auction_is_held_once_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "exchange.sqlite"

    def reopen() -> tuple[State, Exchange]:
        state = State(path)
        return state, Exchange(
            state=state, prices=PRICES, members=frozenset({"0841"}), depth=Depth(steps=3)
        )

    state, exchange = reopen()
    call(exchange, "DAH1001", {"bidOffers": [offer(price=0)]}, BEFORE_GATE)
    state.close()
    state, exchange = reopen()
    assert exchange.tick(AFTER_GATE) == [DAY]
    first = call(exchange, "DAH1030", OF_DAY, AFTER_GATE)
    state.close()
    state, exchange = reopen()
    assert exchange.tick(AFTER_GATE + 1) == []
    assert call(exchange, "DAH1030", OF_DAY, AFTER_GATE + 1) == first
    assert first["contractResults"][0]["contractVolume"] == 0.1
    state.close()


def test_intraday_trades_at_the_resting_price_and_tells_everybody(exchange: Exchange) -> None:
    heard: list[Notice] = []
    stop = exchange.listen(heard.extend)
    body = offer(price=19_800, volume=Decimal("0.5"))
    answer = call(exchange, "ITD1001", body, INTRADAY)
    assert answer["status"] == "200"
    made = call(exchange, "ITD1004", OF_PRODUCT, INTRADAY)["contractResults"]
    assert [(c["contractPrice"], c["contractVolume"]) for c in made] == [
        (19_900, 0.2),
        (19_800, 0.2),
    ]
    [bid] = call(exchange, "ITD1003", OF_PRODUCT, INTRADAY)["bids"]
    assert (bid["contractVolume"], bid["deleteCd"], bid["targetBidNo"]) == (0.4, "0", None)
    trades = [n for n in heard if isinstance(n, TradeNotice)]
    assert [(t.price_jpy_per_mwh, t.volume_w) for t in trades] == [
        (19_900, 200_000),
        (19_800, 200_000),
    ]
    rest = [n for n in heard if isinstance(n, BoardNotice)][-1]
    assert (rest.price_jpy_per_mwh, rest.change_w, rest.is_buy) == (19_800, 100_000, False)
    stop()

    deletion = {**OF_PRODUCT, "targetBidNo": answer["bidNo"]}
    request_no = call(exchange, "ITD1002", deletion, INTRADAY)["bidNo"]
    bid, request = call(exchange, "ITD1003", OF_PRODUCT, INTRADAY)["bids"]
    assert (bid["deleteCd"], request["deleteCd"]) == ("1", "1")
    assert (request["bidNo"], request["bidTypeCd"]) == (request_no, "DEL")
    assert request["note"] is None
    assert heard[-1] is rest  # who stopped listening hears nothing more


def test_a_snapshot_is_what_the_changes_add_up_to(exchange: Exchange) -> None:
    exchange.snapshot(INTRADAY)  # opens the shown area
    sums: dict[tuple[Any, ...], int] = {}

    def add(notices: Any) -> None:
        for notice in notices:
            if isinstance(notice, BoardNotice):
                key = (notice.time_cd, notice.area_group_cd, notice.is_buy)
                level = (*key, notice.price_jpy_per_mwh)
                sums[level] = sums.get(level, 0) + notice.change_w

    add(exchange.snapshot(INTRADAY))
    exchange.listen(add)
    dice = random.Random(4)
    for _ in range(40):
        kind = dice.choice(["SELL-LIMIT", "BUY-LIMIT", "SELL-MARKET", "BUY-MARKET"])
        body = offer(kind, price=dice.randrange(19_500, 20_500, 10), volume=dice.choice([1, 2]))
        answer = call(exchange, "ITD1001", {**body, "volume": Decimal(body["volume"])}, INTRADAY)
        if dice.random() < 0.5:
            deletion = {**OF_PRODUCT, "targetBidNo": answer["bidNo"]}
            assert call(exchange, "ITD1002", deletion, INTRADAY)["status"] == "200"
    told = {level: open_w for level, open_w in sums.items() if open_w}
    sums.clear()
    add(exchange.snapshot(INTRADAY))
    assert told == sums


@pytest.mark.parametrize(
    ("api", "change", "now_s", "code"),
    [
        ("ITD1001", {}, BEFORE_GATE, "schedule"),
        ("ITD1001", {"timeCd": "01"}, INTRADAY + 6 * 3600, "schedule"),
        ("ITD1001", {"bidTypeCd": "SELL-FIT"}, INTRADAY, "code"),
        ("ITD1002", {"targetBidNo": "77"}, INTRADAY, "code"),
        ("ITD1003", {"timeCd": "50"}, INTRADAY, "code"),
        ("DAH9001", {}, INTRADAY, "code"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_code(
    exchange: Exchange, api: str, change: dict[str, Any], now_s: float, code: str
) -> None:
    answer = call(exchange, api, {**offer(), **change}, now_s)
    assert answer == {"status": "400", "statusInfo": code}


def test_products_are_those_traded_now_and_suspended_ones_take_nothing(exchange: Exchange) -> None:
    exchange.suspended.add((DAY, "37"))
    products = call(exchange, "ITD1005", {}, INTRADAY)["products"]
    assert len(products) == 9 + 48  # today's from 19:30 on, and tomorrow's
    codes = {(p["deliveryDate"], p["timeCd"]): p["suspendCd"] for p in products}
    assert (codes["2026-11-24", "37"], codes["2026-11-24", "38"]) == ("1", "0")
    assert call(exchange, "ITD1001", offer(), INTRADAY)["statusInfo"] == "schedule"


def test_the_server_answers_nonsense_and_lives(exchange: Exchange, tmp_path: Path) -> None:
    """Broken frames end their connection with STATUS=10; broken bodies only their call."""
    server = ExchangeServer(
        exchange=exchange, clock=ManualClock(BEFORE_GATE), timing=Timing(idle_s=30)
    )
    good = encode_request(Request(member="0841", api=calls.KEEP_ALIVE, body={}))
    dice = random.Random(5)

    async def speak(port: int, data: bytes) -> list[str]:
        trust = ssl.create_default_context(cafile=tmp_path / tls.CERTIFICATE)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        writer.write(data)
        writer.write_eof() if writer.can_write_eof() else None
        frames = FrameDecoder()
        statuses: list[str] = []
        while len(statuses) < 2 and (chunk := await reader.read(65536)):
            statuses += [frame.header["STATUS"] for frame in frames.feed(chunk)]
        writer.close()
        return statuses

    async def story() -> None:
        port = await server.start(host="127.0.0.1", port=0, tls=tls.server_context(tmp_path))
        body = b"\x01MEMBER=0841,API=SYS1001,SIZE=3\x02abc\x03"
        assert await speak(port, body + good) == ["10", "00"]
        assert await speak(port, b"GET / HTTP/1.1\r\n\r\n") == ["10"]
        for _ in range(20):
            noise = b"\x02" + dice.randbytes(dice.randint(1, 200))
            assert await speak(port, noise) == ["10"]
        assert await speak(port, good + good) == ["00", "00"]
        await server.stop()

    asyncio.run(story())


def test_json_of_results_has_one_decimal(exchange: Exchange) -> None:
    body = {"bidOffers": [offer(volume=Decimal("4320.5"))]}
    call(exchange, "DAH1001", body, BEFORE_GATE)
    [bid] = call(exchange, "DAH1002", OF_DAY, BEFORE_GATE)["bids"]
    assert '"volume": 4320.5' in json.dumps(bid)
    assert fields.VOLUME_STEP_W == 100_000
