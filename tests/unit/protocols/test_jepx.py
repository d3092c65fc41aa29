"""The exchange's frames and messages, against the shapes of its manuals."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.protocols.jepx import (
    BodyError,
    ErrorCode,
    FrameDecoder,
    FrameError,
    MessageError,
    Request,
    Response,
    Status,
    calls,
    encode_request,
    encode_response,
    fields,
    parse_request,
    parse_response,
)
from gridcord.protocols.jepx.board import BoardNotice, MarketResult, Product, TradeNotice
from gridcord.protocols.jepx.offers import (
    BidResult,
    BidType,
    IntradayBid,
    IntradayContract,
    Offer,
    StoredBid,
)

NOTES = st.text(max_size=100).filter(lambda s: s.isprintable())
DAYS = st.dates(date(2000, 1, 1), date(2040, 12, 31))
STAMPS = st.datetimes(datetime.fromisoformat("2000-01-01")).map(
    lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)
)
PRICES = st.integers(0, 99_999).map(lambda n: n * 10)
VOLUMES = st.integers(1, 1_000_000).map(lambda n: n * 100_000)
NUMBERS = st.integers(0, 10**10).map(str)
TIMES = st.integers(1, 48).map(fields.time_cd)
AREAS = st.sampled_from(sorted(fields.AREA_CODES.values()))


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    bid_type = draw(st.sampled_from([k for k in BidType if k is not BidType.DELETE]))
    return Offer(
        delivery_date=draw(DAYS),
        area_cd=draw(AREAS),
        time_cd=draw(TIMES),
        bid_type=bid_type,
        price_jpy_per_mwh=draw(PRICES) if bid_type.is_limit else None,
        volume_w=draw(VOLUMES),
        delivery_contract_cd="ABCD8",
        note=draw(NOTES),
    )


@st.composite
def intraday_bids(draw: st.DrawFn) -> IntradayBid:
    offer = draw(st.none() | offers())
    return IntradayBid(
        bid_no=draw(NUMBERS),
        timestamp=draw(STAMPS),
        delivery_date=offer.delivery_date if offer else draw(DAYS),
        time_cd=offer.time_cd if offer else draw(TIMES),
        offer=offer,
        contract_volume_w=draw(VOLUMES) if offer else 0,
        target_bid_no=None if offer else draw(NUMBERS),
        is_deleted=draw(st.booleans()),
    )


ROWS: dict[str, st.SearchStrategy[Any]] = {
    calls.DAY_AHEAD_BIDS: st.builds(StoredBid, bid_no=NUMBERS, offer=offers()),
    calls.DAY_AHEAD_RESULTS: st.builds(
        BidResult,
        bid_no=NUMBERS,
        offer=offers(),
        contract_price_jpy_per_mwh=st.none() | PRICES,
        contract_volume_w=VOLUMES,
    ),
    calls.DAY_AHEAD_CONTRACTS: st.builds(
        BidResult,
        bid_no=NUMBERS,
        offer=offers(),
        contract_price_jpy_per_mwh=PRICES,
        contract_volume_w=VOLUMES,
        block_type_cd=st.sampled_from(["NORM", "LINK-P", "LOOP-B"]),
    ),
    calls.DAY_AHEAD_MARKET: st.builds(
        MarketResult,
        time_cd=TIMES,
        system_price_jpy_per_mwh=st.none() | PRICES,
        contract_volume_w=st.none() | VOLUMES,
        area_prices_jpy_per_mwh=st.dictionaries(AREAS, PRICES),
    ),
    calls.INTRADAY_BIDS: intraday_bids(),
    calls.INTRADAY_CONTRACTS: st.builds(
        IntradayContract,
        contract_no=NUMBERS,
        timestamp=STAMPS,
        bid_no=NUMBERS,
        delivery_date=DAYS,
        time_cd=TIMES,
        area_cd=AREAS,
        bid_type=st.just(BidType.BUY_MARKET),
        delivery_contract_cd=st.just("ABCDE"),
        note=NOTES,
        price_jpy_per_mwh=PRICES,
        volume_w=VOLUMES,
    ),
    calls.INTRADAY_PRODUCTS: st.builds(
        Product, delivery_date=DAYS, time_cd=TIMES, is_suspended=st.booleans()
    ),
    calls.INTRADAY_STREAM: st.builds(
        TradeNotice,
        timestamp=STAMPS,
        delivery_date=DAYS,
        time_cd=TIMES,
        price_jpy_per_mwh=PRICES,
        volume_w=VOLUMES,
    )
    | st.builds(
        BoardNotice,
        timestamp=STAMPS,
        delivery_date=DAYS,
        time_cd=TIMES,
        area_group_cd=st.sampled_from(["A1", "A2", "A4", "A7", "A9"]),
        is_buy=st.booleans(),
        price_jpy_per_mwh=PRICES,
        change_w=VOLUMES | VOLUMES.map(lambda w: -w),
    ),
}


@pytest.mark.parametrize("api", ROWS)
@given(data=st.data())
def test_every_answer_comes_back_as_it_was_sent(api: str, data: st.DataObject) -> None:
    rows = data.draw(st.lists(ROWS[api], max_size=4))
    body = calls.answer_json(api, rows=rows)
    frame = encode_response(Response(status=Status.PROCESSED, body=body))
    [received] = FrameDecoder().feed(frame)
    answer = calls.parse_answer(api, parse_response(received).body)
    assert (answer.status, list(answer.rows)) == ("200", rows)


@given(st.lists(offers(), min_size=1, max_size=48))
def test_offers_come_to_the_exchange_as_they_were_made(made: list[Offer]) -> None:
    call = calls.Offers(offers=made)
    frame = encode_request(Request(member="0841", api="DAH1001", body=call.json()))
    [received] = FrameDecoder().feed(frame)
    request = parse_request(received)
    assert (request.member, request.api) == ("0841", "DAH1001")
    assert calls.parse_call(request.api, request.body) == call


@given(st.lists(offers(), max_size=6), st.randoms(use_true_random=False))
def test_frames_come_whole_however_the_stream_is_cut(
    made: list[Offer], dice: random.Random
) -> None:
    frames = [
        encode_request(Request(member="0841", api="ITD1001", body=offer.request_json()))
        for offer in made
    ]
    stream, decoder, found = b"".join(frames), FrameDecoder(), 0
    while stream:
        cut = dice.randint(1, len(stream))
        found += len(decoder.feed(stream[:cut]))
        stream = stream[cut:]
    assert found == len(made)
    assert decoder.buffered_bytes == 0


def test_a_body_that_holds_etx_is_read_by_its_size() -> None:
    many = [[_offer(number) for number in range(1, last)] for last in range(2, 50)]
    bodies = [calls.Offers(offers=offers_made).json() for offers_made in many]
    frames = [encode_request(Request(member="0841", api="DAH1001", body=body)) for body in bodies]
    frame = next(frame for frame in frames if b"\x03" in frame[:-1])
    assert len(FrameDecoder().feed(frame)) == 1


def _offer(number: int) -> Offer:
    return Offer(
        delivery_date=date(2026, 11, 24),
        area_cd="3",
        time_cd=fields.time_cd(number),
        bid_type=BidType.SELL_LIMIT,
        price_jpy_per_mwh=18_060,
        volume_w=300_000,
        delivery_contract_cd="ABCD8",
        note=f"gridcord:{number}",
    )


def test_a_call_is_the_json_of_the_manual() -> None:
    body = calls.Offers(offers=[_offer(37)]).json()
    assert json.dumps(body, sort_keys=True) == json.dumps(
        {
            "bidOffers": [
                {
                    "deliveryDate": "2026-11-24",
                    "areaCd": "3",
                    "timeCd": "37",
                    "bidTypeCd": "SELL-LIMIT",
                    "price": 18060,
                    "volume": 0.3,
                    "deliveryContractCd": "ABCD8",
                    "note": "gridcord:37",
                }
            ]
        },
        sort_keys=True,
    )


def test_a_frame_has_the_bytes_of_the_manual() -> None:
    frame = encode_request(Request(member="0841", api="SYS1001", body={}))
    assert frame.startswith(b"\x01MEMBER=0841,API=SYS1001,SIZE=")
    head, _, rest = frame.partition(b"\x02")
    size = int(head.rpartition(b"=")[2])
    assert len(rest) == size + 1
    assert rest[:2] == b"\x1f\x8b"  # gzip, RFC 1952
    assert rest[-1:] == b"\x03"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_gzip_and_zlib_are_both_understood(pack: Any) -> None:
    packed = pack(b'{"status": "200", "statusInfo": ""}')
    frame = b"\x01STATUS=00,SIZE=%d\x02%s\x03" % (len(packed), packed)
    [received] = FrameDecoder().feed(frame)
    assert parse_response(received).body == {"status": "200", "statusInfo": ""}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"SIZE=",
        b"SIZE=-1",
        b"SIZE=999999999",
        b"STATUS=00",
        b"STATUS=00,SIZE=1,SIZE=1",
        b"STATUS=0,SIZE=1",
        b"MEMBER=08-1,API=DAH1001,SIZE=1",
        b"STATUS=00;SIZE=1",
        b"\xff=00,SIZE=1",
        b"SIZE=9999999",
    ],
)
def test_a_header_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(FrameError):
        FrameDecoder().feed(b"\x01" + header + b"\x02x\x03")


packed = partial(gzip.compress, mtime=0)  # a name of a test must not change with the time


@pytest.mark.parametrize(
    "body",
    [
        b"plain",
        packed(b"[]"),
        packed(b"{"),
        packed(b'{"a": NaN}'),
        packed(b"\xff\xfe"),
        packed(b"{}")[:-3],
        packed(b"{}") + b"x",
    ],
)
def test_a_body_that_is_no_json_object_is_refused_and_the_stream_goes_on(body: bytes) -> None:
    good = encode_response(Response(status=Status.PROCESSED, body={}))
    bad = b"\x01STATUS=00,SIZE=%d\x02%s\x03" % (len(body), body)
    frames = FrameDecoder().feed(bad + good)
    with pytest.raises(BodyError):
        parse_response(frames[0])
    assert parse_response(frames[1]).body == {}


def test_a_status_invented_later_is_not_taken_for_a_known_one() -> None:
    [frame] = FrameDecoder().feed(b"\x01STATUS=42,SIZE=0\x02\x03")
    assert parse_response(frame).status is None


@given(st.integers(0, 99_999))
def test_prices_are_exact_both_ways(cents: int) -> None:
    jpy_per_mwh = cents * 10
    micros = fields.price_micros_per_kwh(jpy_per_mwh)
    assert Decimal(micros).scaleb(-6) * 1000 == jpy_per_mwh  # JPY/kWh to JPY/MWh
    assert fields.price_jpy_per_mwh(micros) == jpy_per_mwh


@given(st.integers(1, 10**6))
def test_volumes_are_exact_both_ways(lots: int) -> None:
    watts = fields.volume_w(lots * 50_000)
    assert watts == lots * 100_000
    assert fields.energy_wh(watts) == lots * 50_000
    assert Decimal(str(fields.volume_mw(watts))) == Decimal(lots) / 10


def test_what_the_exchange_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="50 kWh"):
        fields.volume_w(49_999)
    with pytest.raises(ValueError, match=r"0\.01 JPY"):
        fields.price_jpy_per_mwh(5_000)
    with pytest.raises(ValueError, match="1 to 48"):
        fields.time_cd(49)


GOOD = json.loads(json.dumps(_offer(1).request_json()), parse_float=Decimal)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"deliveryDate": None}, ErrorCode.REQUIRED),
        ({"deliveryDate": "2026-02-30"}, ErrorCode.FORMAT),
        ({"deliveryDate": "20261124"}, ErrorCode.FORMAT),
        ({"areaCd": "0"}, ErrorCode.CODE),
        ({"timeCd": "00"}, ErrorCode.CODE),
        ({"timeCd": "1"}, ErrorCode.CODE),
        ({"bidTypeCd": "DEL"}, ErrorCode.CODE),
        ({"price": 5}, ErrorCode.UNIT),
        ({"price": -10}, ErrorCode.RANGE),
        ({"price": 1_000_000}, ErrorCode.RANGE),
        ({"price": "10"}, ErrorCode.FORMAT),
        ({"price": True}, ErrorCode.FORMAT),
        ({"volume": Decimal("0.05")}, ErrorCode.RANGE),
        ({"volume": Decimal("1e999999")}, ErrorCode.RANGE),
        ({"note": "x" * 101}, ErrorCode.RANGE),
        ({"deliveryContractCd": ""}, ErrorCode.REQUIRED),
    ],
)
def test_a_wrong_field_is_refused_with_the_exchanges_code(
    change: dict[str, Any], code: ErrorCode
) -> None:
    with pytest.raises(MessageError) as refused:
        calls.parse_call("ITD1001", {**GOOD, **change})
    assert refused.value.code is code


def test_the_exchange_cuts_finer_volumes_off() -> None:
    call = calls.parse_call("ITD1001", {**GOOD, "volume": Decimal("0.39")})
    assert isinstance(call, calls.OneOffer)
    assert call.offer.volume_w == 300_000


def test_an_unknown_call_and_an_unknown_notice_do_no_harm() -> None:
    with pytest.raises(MessageError):
        calls.parse_call("XXX0000", {})
    body = {"status": "200", "statusInfo": "", "notices": [{"noticeTypeCd": "NEW"}]}
    assert calls.parse_answer("ITN1001", body).rows == []


def test_deleting_nothing_is_refused_and_deleting_a_day_is_not() -> None:
    day = {"deliveryDate": "2026-11-24"}
    with pytest.raises(MessageError):
        calls.parse_call("DAH1003", {**day, "bidDels": []})
    call = calls.parse_call("DAH1003", day)
    assert isinstance(call, calls.Deletions)
    assert call.bid_nos is None
