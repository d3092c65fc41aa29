"""Mutated frames against both ends of the exchange's interface: declared errors, or values."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import pytest

from gridcord.protocols.jepx import (
    FrameDecoder,
    ProtocolError,
    Request,
    Response,
    Status,
    calls,
    encode_request,
    encode_response,
    parse_request,
    parse_response,
)
from gridcord.protocols.jepx.board import BoardNotice, MarketResult, Product, TradeNotice
from gridcord.protocols.jepx.frames import ETX, MAX_HEADER_BYTES, SOH, STX
from gridcord.protocols.jepx.offers import (
    BidResult,
    BidType,
    IntradayBid,
    IntradayContract,
    Offer,
    StoredBid,
)

FRAMES = 100_000

DAY, STAMP = date(2026, 11, 24), datetime.fromisoformat("2026-11-23T18:07:44.030")
OFFER = Offer(
    delivery_date=DAY,
    area_cd="3",
    time_cd="37",
    bid_type=BidType.SELL_LIMIT,
    price_jpy_per_mwh=18_060,
    volume_w=300_000,
    delivery_contract_cd="ABCD8",
    note="gridcord:7a1f6c1e-5a43-4d7e-9a55-0c6f3d1e2b4a",
)
INTRADAY_BID = IntradayBid(
    bid_no="1234567890",
    timestamp=STAMP,
    delivery_date=DAY,
    time_cd="37",
    offer=OFFER,
    contract_volume_w=100_000,
    target_bid_no=None,
    is_deleted=False,
)
PRODUCT = calls.OfProduct(delivery_date=DAY, time_cd="37")

CALLS: list[tuple[str, calls.Call]] = [
    (calls.DAY_AHEAD_OFFER, calls.Offers(offers=[OFFER])),
    (calls.DAY_AHEAD_BIDS, calls.OfDay(delivery_date=DAY)),
    (calls.DAY_AHEAD_DELETE, calls.Deletions(delivery_date=DAY, bid_nos=["1234567890"])),
    (calls.INTRADAY_OFFER, calls.OneOffer(offer=OFFER)),
    (
        calls.INTRADAY_DELETE,
        calls.OneDeletion(delivery_date=DAY, time_cd="37", target_bid_no="1234567890"),
    ),
    (calls.INTRADAY_BIDS, PRODUCT),
    (calls.KEEP_ALIVE, calls.Nothing()),
]

ANSWERS: list[tuple[str, list[Any]]] = [
    (calls.DAY_AHEAD_BIDS, [StoredBid(bid_no="1", offer=OFFER)]),
    (
        calls.DAY_AHEAD_CONTRACTS,
        [
            BidResult(
                bid_no="1",
                offer=OFFER,
                contract_price_jpy_per_mwh=20_300,
                contract_volume_w=300_000,
            )
        ],
    ),
    (
        calls.DAY_AHEAD_MARKET,
        [
            MarketResult(
                time_cd="01",
                system_price_jpy_per_mwh=6_420,
                contract_volume_w=24_824_800_000,
                area_prices_jpy_per_mwh={"1": 7_510, "9": 6_810},
            )
        ],
    ),
    (calls.INTRADAY_BIDS, [INTRADAY_BID]),
    (
        calls.INTRADAY_CONTRACTS,
        [
            IntradayContract(
                contract_no="2345678901",
                timestamp=STAMP,
                bid_no="1234567890",
                delivery_date=DAY,
                time_cd="37",
                area_cd="3",
                bid_type=BidType.SELL_LIMIT,
                delivery_contract_cd="ABCD8",
                note="",
                price_jpy_per_mwh=120,
                volume_w=100_000,
            )
        ],
    ),
    (calls.INTRADAY_PRODUCTS, [Product(delivery_date=DAY, time_cd="37", is_suspended=False)]),
    (
        calls.INTRADAY_STREAM,
        [
            TradeNotice(
                timestamp=STAMP,
                delivery_date=DAY,
                time_cd="37",
                price_jpy_per_mwh=100,
                volume_w=200_000,
            ),
            BoardNotice(
                timestamp=STAMP,
                delivery_date=DAY,
                time_cd="37",
                area_group_cd="A1",
                is_buy=True,
                price_jpy_per_mwh=110,
                change_w=-200_000,
            ),
        ],
    ),
]

STRANGE: list[Any] = [
    *(None, True, False, 0, -1, 1e308, -0.0, 0.05, 10**400, 2**63, "", "0", "49", "x" * 101),
    *([], [[]], {}, {"a": 1}, "１２", "2026-02-30", "\ud800", "\x00", [None], "NaN"),
]


def mutate_bytes(frame: bytes, dice: random.Random) -> bytes:
    """Flip, cut, repeat, insert: what noise and bad peers do to bytes."""
    data = bytearray(frame)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                del data[at : at + dice.randint(1, 8)]
            case 2:
                data[at:at] = dice.randbytes(dice.randint(1, 8))
            case 3:
                data[at:at] = dice.choice([SOH, STX, ETX, b"=", b",", b"9", b"SIZE=1"])
            case _:
                data += data[at : at + 40]
        if not data:
            return b""
    return bytes(data)


def mutate_json(value: Any, dice: random.Random) -> Any:
    """Replace, drop or add one thing somewhere in a tree."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        copy = dict(value)
        key = dice.choice(list(copy))
        match dice.randrange(6):
            case 0:
                del copy[key]
            case 1:
                copy["unknown"] = dice.choice(STRANGE)
            case _:
                copy[key] = mutate_json(copy[key], dice)
        return copy
    if isinstance(value, list) and value and dice.random() < 0.85:
        row = list(value)
        at = dice.randrange(len(row))
        row[at] = mutate_json(row[at], dice)
        return row
    return dice.choice(STRANGE) if dice.random() < 0.5 else _perturbed(value, dice)


def _perturbed(leaf: Any, dice: random.Random) -> Any:
    """A little more or less: often still a value of its field."""
    if isinstance(leaf, str) and leaf:
        at = dice.randrange(len(leaf))
        return leaf[:at] + dice.choice("0123456789-:TZ A") + leaf[at + 1 :]
    if isinstance(leaf, int | float) and not isinstance(leaf, bool):
        return leaf + dice.choice([-10, -1, -0.1, 0.05, 1, 10, 1000])
    return {"unknown": leaf}


def pack(header: str, body: Any) -> bytes:
    """A well-formed frame around any JSON."""
    text = json.dumps(body).encode("utf-8", "surrogatepass")
    packed = gzip.compress(text, compresslevel=1, mtime=0)
    return SOH + f"{header},SIZE={len(packed)}".encode() + STX + packed + ETX


def receive(frame: bytes, dice: random.Random, take: Callable[[Any], object]) -> int:
    """Feed a frame in two pieces; returns how many frames were understood."""
    decoder = FrameDecoder()
    cut = dice.randrange(len(frame) + 1)
    understood = 0
    for piece in (frame[:cut], frame[cut:]):
        for found in decoder.feed(piece):
            take(found)
            understood += 1
    assert decoder.buffered_bytes <= len(frame)
    return understood


def serve(frame: Any) -> object:
    request = parse_request(frame)
    return calls.parse_call(request.api, request.body)


def read_answer(api: str) -> Callable[[Any], object]:
    return lambda frame: calls.parse_answer(api, parse_response(frame).body)


def fuzz(
    corpus: Sequence[tuple[bytes, str, Any, Callable[[Any], object]]], *, seed: int, count: int
) -> tuple[int, int]:
    """Mutate `count` frames; returns how many were understood and how many refused."""
    dice = random.Random(seed)
    understood = refused = 0
    for _ in range(count):
        frame, header, body, take = dice.choice(corpus)
        if dice.random() < 0.5:
            mutated = mutate_bytes(frame, dice)
        else:
            mutated = pack(header, mutate_json(body, dice))
        try:
            understood += receive(mutated, dice, take)
        except ProtocolError:
            refused += 1
    return understood, refused


@pytest.mark.slow
def test_the_server_survives_mutated_calls() -> None:
    corpus = []
    for api, call in CALLS:
        frame = encode_request(Request(member="0841", api=api, body=call.json()))
        corpus.append((frame, f"MEMBER=0841,API={api}", call.json(), serve))
    understood, refused = fuzz(corpus, seed=1, count=FRAMES // 2)
    assert understood > FRAMES // 50
    assert refused > FRAMES // 5


@pytest.mark.slow
def test_the_member_survives_mutated_answers() -> None:
    corpus = []
    for api, rows in ANSWERS:
        body = calls.answer_json(api, rows=rows)
        frame = encode_response(Response(status=Status.PROCESSED, body=body))
        corpus.append((frame, "STATUS=00", body, read_answer(api)))
    understood, refused = fuzz(corpus, seed=2, count=FRAMES // 2)
    assert understood > FRAMES // 50
    assert refused > FRAMES // 5


def test_a_header_without_end_is_refused_before_it_grows() -> None:
    decoder = FrameDecoder()
    with pytest.raises(ProtocolError):
        for _ in range(MAX_HEADER_BYTES + 2):
            decoder.feed(b"\x01" if not decoder.buffered_bytes else b"A")


def test_a_body_that_unpacks_to_more_than_allowed_is_refused() -> None:
    bomb = gzip.compress(b'{"a":"' + b" " * (40 * 1024 * 1024) + b'"}')
    frame = SOH + f"STATUS=00,SIZE={len(bomb)}".encode() + STX + bomb + ETX
    with pytest.raises(ProtocolError):
        receive(frame, random.Random(0), parse_response)


def test_a_deeply_nested_body_is_refused() -> None:
    packed = gzip.compress(b'{"a":' * 100_000)
    frame = SOH + f"STATUS=00,SIZE={len(packed)}".encode() + STX + packed + ETX
    with pytest.raises(ProtocolError):
        receive(frame, random.Random(0), parse_response)
