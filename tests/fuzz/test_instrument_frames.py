"""Mutated frames of every instrument: each parser gives a value or its declared error, no more.

The mutations are seeded: a failure repeats (`tests.fuzz.mutations`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from momonga import Momonga
from momonga.momonga_device import BP35A1Strategy, BP35C2Strategy, parse_sk_line
from momonga.momonga_echonet_data import ENERGY_PARSERS, PARSER_MAP
from momonga.momonga_exception import MomongaError

from cable_node.drivers.echonet_hems import answer_to
from cable_node.drivers.modbus_meter import registers_of
from cable_node.drivers.nmea_gps import FixFilter, GpsSettings, read_sentence
from cable_node.drivers.p1 import VARIANTS, TelegramSplitter, read_telegram
from cable_node.drivers.rapi_contactor import take_answers
from cable_node.drivers.route_b_values import (
    CountScale,
    both_half_hours,
    day_values,
    half_hour,
    watts,
)
from cable_node.drivers.site_identity import site_id
from cable_node.ports import FrameError
from gridcord.protocols import echonet, echonet_energy, nmea, p1, rapi, skstack
from gridcord.protocols import modbus_rtu as rtu
from gridcord.protocols.echonet import EchonetError, Frame, Property, Service
from gridcord.protocols.modbus_rtu import ModbusException, ModbusFrameError, ReadRequest
from gridcord.protocols.p1 import Telegram
from gridcord.protocols.rapi import BoardState, EvseState, RapiError, RapiLine
from gridcord.protocols.skstack import Dialect, Event, Received, SkstackError
from gridcord.simulation.instruments.home_energy_node import HomeEnergyNode
from gridcord.simulation.instruments.rapi_board import RapiBoard
from gridcord.simulation.instruments.route_b_meter import RouteBMeter
from gridcord.simulation.instruments.sdm230 import Sdm230
from gridcord.simulation.instruments.source import SettablePlug, SettableRegisters
from gridcord.simulation.instruments.wisun_adapter import WisunAdapter
from gridcord.testing.clock import ManualClock
from gridcord.units import Position
from tests.fuzz.mutations import Parse, mutations, survives

AT_S = 1_800_000_000.0


def checked(body: bytes, checksum: Callable[[bytes], bytes]) -> bytes:
    """A mutated body behind a right checksum: gets past the first gate."""
    return body + checksum(body)


@pytest.fixture(autouse=True)
def quiet_libraries() -> Iterator[None]:
    """The libraries log each bad frame; ten thousand of them take longer than the parsing."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# --- Modbus -------------------------------------------------------------------------------------

BLOCK = ReadRequest(unit=1, function=rtu.READ_INPUT, address=0, count=76)
BLOCK_VALUES = b"\x43\x66\x00\x00" * 38


def modbus_answer(frame: bytes) -> object:
    rtu.response_length(frame[:3])
    return registers_of(rtu.decode_response(BLOCK, frame), at_s=AT_S, step_wh=1)


def test_modbus_answers() -> None:
    seeds = [rtu.encode_response(BLOCK, BLOCK_VALUES), rtu.encode_exception(BLOCK, 2)]
    survives(modbus_answer, seeds, ModbusFrameError, ModbusException, FrameError)


def test_modbus_answers_with_right_checksum() -> None:
    seeds = [rtu.encode_response(BLOCK, BLOCK_VALUES)[:-2], rtu.encode_exception(BLOCK, 2)[:-2]]
    survives(
        lambda body: modbus_answer(checked(body, rtu.crc)),
        seeds,
        ModbusFrameError,
        ModbusException,
        FrameError,
    )


def test_modbus_values() -> None:
    survives(lambda v: registers_of(v, at_s=AT_S, step_wh=1), [BLOCK_VALUES], FrameError)


def test_modbus_requests() -> None:
    survives(rtu.decode_request, [BLOCK.encode()], ModbusFrameError)
    survives(
        lambda body: rtu.decode_request(checked(body, rtu.crc)),
        [BLOCK.encode()[:-2]],
        ModbusFrameError,
    )


# --- RAPI ---------------------------------------------------------------------------------------

RAPI_LINES = [
    RapiLine(("GS",), 7).encode(),
    RapiLine(("OK", "30", "6", "2"), 255).encode(),
    RapiLine(("AT", "03", "03", "32", "0140")).encode(),
]
BOARD = BoardState(state=EvseState.CHARGING, relay_closed=True, connected=True)


def rapi_checksum(body: bytes) -> bytes:
    checksum = 0
    for byte in body:
        checksum ^= byte
    return f"^{checksum:02X}".encode()


def test_rapi_lines() -> None:
    survives(rapi.decode, RAPI_LINES, RapiError)
    survives(
        lambda body: rapi.decode(checked(body, rapi_checksum)),
        [line.rpartition(b"^")[0] for line in RAPI_LINES],
        RapiError,
    )


def test_rapi_states() -> None:
    seeds = [" ".join(BOARD.encode(EvseState.CONNECTED)).encode()]
    survives(
        lambda text: rapi.decode_state(tuple(text.decode("latin-1").split())), seeds, RapiError
    )


def test_rapi_streams_never_fail() -> None:
    pending = bytearray()
    for piece in mutations(RAPI_LINES):
        pending += piece
        take_answers(pending)
        assert len(pending) <= rapi.MAX_LINE


# --- ECHONET Lite -------------------------------------------------------------------------------

TIME = echonet_energy.LocalTime(year=2027, month=1, day=15, hour=17, minute=30)
REQUEST = Frame(
    transaction=1,
    source=echonet_energy.CONTROLLER,
    destination=echonet_energy.SMART_METER,
    service=Service.GET,
    properties=(Property(0xEA), Property(0xE7)),
)
FIXED = echonet_energy.FixedTime(time=TIME, count=17_806).encode()
ANSWER = REQUEST.answer(Service.GET_RES, (Property(0xEA, FIXED), Property(0xE7, bytes(4))))


def test_echonet_frames() -> None:
    survives(echonet.decode, [REQUEST.encode(), ANSWER.encode()], EchonetError)


def test_echonet_answers_never_fail() -> None:
    for datagram in mutations([REQUEST.encode(), ANSWER.encode()]):
        frame = answer_to(REQUEST, datagram)
        assert frame is None or frame.transaction == REQUEST.transaction


def test_echonet_values() -> None:
    decoders = (
        echonet.decode_property_map,
        echonet_energy.decode_count,
        echonet_energy.decode_unit_wh,
        echonet_energy.decode_power,
        echonet_energy.decode_fixed_time,
        echonet_energy.decode_channels,
    )
    seeds = [FIXED, b"\x01", bytes(4), echonet.encode_property_map(frozenset(range(0x80, 0x95)))]
    seeds.append(echonet_energy.encode_channels(1, (1, 2, None)))
    for decode in decoders:
        survives(decode, seeds, EchonetError)


def route_b_value(code: int, scale: CountScale) -> Parse:
    """What becomes of a property: momonga's parser, then the driver's."""
    parser = PARSER_MAP[code]
    convert: Callable[[Any, CountScale], object] = {
        0xEA: half_hour,
        0xEB: half_hour,
        0xEC: lambda entries, s: [both_half_hours(e, s) for e in entries],
        0xE2: day_values,
        0xE4: day_values,
        0xE7: lambda value, s: watts(value),
    }.get(code, lambda value, s: value)

    scales = (scale.unit_kwh, scale.coefficient) if parser in ENERGY_PARSERS else ()

    def parse(data: bytes) -> object:
        value = Momonga._parse_or_wrap(code, data or None, parser, *scales)
        return convert(value, scale)

    return parse


@pytest.mark.parametrize("code", [0xE2, 0xE4, 0xE7, 0xEA, 0xEB, 0xEC, 0x8A, 0x8D, 0x98, 0x9F, 0xC0])
def test_route_b_values(code: int) -> None:
    pair = bytes.fromhex("0000458E00000015")
    seeds = [FIXED, FIXED[:6] + b"\x02" + 2 * pair, bytes(2) + 24 * pair, b"S13Y00001234"]
    survives(route_b_value(code, CountScale(unit_kwh=0.1)), seeds, FrameError, MomongaError)


def test_names_of_sites_never_fail() -> None:
    seeds = [b"S13Y00001234", b"E0043007500000001 ", bytes(17), "\u6771\u4eac".encode()]
    for name in mutations(seeds):
        assert site_id("obis", name.decode("utf-8", "replace")).startswith("obis:")


# --- SKSTACK ------------------------------------------------------------------------------------

METER = "FE80:0000:0000:0000:021C:6400:03CD:76A4"


def skstack_lines(dialect: Dialect) -> list[bytes]:
    frame = Received(
        source=METER,
        destination=METER,
        source_port=3610,
        destination_port=3610,
        mac="001C640003CD76A4",
        secure=True,
        data=ANSWER.encode(),
        side=0 if dialect.has_side else None,
        lqi=0x4D if dialect.has_side else None,
    )
    event = skstack.encode_event(Event.SENT, METER, dialect, 0)
    return [frame.encode(), event.encode()]


@pytest.mark.parametrize("dialect", list(Dialect))
def test_skstack_lines(dialect: Dialect) -> None:
    strategy = BP35C2Strategy() if dialect.has_side else BP35A1Strategy()

    def both(raw: bytes) -> object:
        line = raw.decode("utf-8", "replace")
        parse_sk_line(line, strategy)
        if line.startswith("EVENT"):
            return skstack.decode_event(line, dialect)
        return echonet.decode(skstack.decode_received(line, dialect).data)

    survives(both, skstack_lines(dialect), SkstackError, EchonetError)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_skstack_commands(dialect: Dialect) -> None:
    side = b" 0" if dialect.has_side else b""
    send = b"SKSENDTO 1 " + METER.encode() + b" 0E1A 2" + side + b" 000E " + REQUEST.encode()
    pending = bytearray()
    for piece in mutations([send, b"SKVER\r\n", b"ROPT\r", b"SKSCAN 2 FFFFFFFF 6 0\r\n"]):
        pending += piece
        try:
            while skstack.take_command(pending, dialect) is not None:
                continue
        except SkstackError:
            continue
        assert len(pending) <= 70_000


# --- GPS ----------------------------------------------------------------------------------------


def gps_sentences() -> list[bytes]:
    fixes = (
        nmea.Fix(at_s=AT_S, position=Position(35.7, 139.8)),
        nmea.Fix(at_s=AT_S, position=None),
    )
    return nmea.take_sentences(bytearray(b"".join(map(nmea.encode, fixes))))


def gps_checksum(body: bytes) -> bytes:
    return f"*{nmea.checksum(body[1:].decode('latin-1')):02X}\r\n".encode()


def test_gps_sentences() -> None:
    survives(read_sentence, gps_sentences(), FrameError)


def test_gps_sentences_with_right_checksum() -> None:
    fixes = FixFilter(GpsSettings(port="none", agreeing=1))

    def parse(body: bytes) -> object:
        sentence = read_sentence(checked(body, gps_checksum))
        return None if sentence is None else fixes.take(sentence, at_s=AT_S)

    survives(parse, [raw.rpartition(b"*")[0] for raw in gps_sentences()], FrameError)


def test_gps_streams_never_fail() -> None:
    pending = bytearray()
    for piece in mutations(gps_sentences()):
        pending += piece
        nmea.take_sentences(pending)
        assert len(pending) <= nmea.MAX_SENTENCE


# --- P1 -----------------------------------------------------------------------------------------

TELEGRAM = Telegram(
    equipment_id="E0043007500000001",
    at_s=AT_S,
    import_wh=(1, 2_130_115),
    export_wh=(0, 89_001),
    power_w=-1503,
).encode()


def telegram_checksum(body: bytes) -> bytes:
    return f"{p1.crc(body):04X}\r\n".encode()


def test_p1_telegrams() -> None:
    survives(
        lambda data: read_telegram(data.decode("latin-1"), VARIANTS["5"]), [TELEGRAM], FrameError
    )


def test_p1_telegrams_with_right_checksum() -> None:
    body = TELEGRAM.rpartition(b"!")[0]

    def parse(mutated: bytes) -> object:
        text = checked(b"/" + mutated.lstrip(b"/") + b"!", telegram_checksum).decode("latin-1")
        return read_telegram(text, VARIANTS["5"])

    survives(parse, [body], FrameError)


def test_p1_streams_never_fail() -> None:
    splitter, found = TelegramSplitter(), 0
    for piece in mutations([TELEGRAM, TELEGRAM[:300], TELEGRAM[300:]]):
        found += len(splitter.feed(piece))
    assert found > 0


# --- the simulated instruments ------------------------------------------------------------------


def test_simulated_instruments_never_fail() -> None:
    """A client may send them anything."""

    async def scenario() -> None:
        clock = ManualClock(AT_S)
        meter = Sdm230(SettableRegisters())
        board = RapiBoard(SettablePlug(), clock)
        node = HomeEnergyNode(
            SettableRegisters(), address=("127.0.0.1", 0), channels={1: meter.source}
        )
        route_b = RouteBMeter(SettableRegisters(), clock)
        adapter = WisunAdapter(route_b, scan_s=0, join_s=0)
        await adapter.start()
        seeds = [
            BLOCK.encode(),
            *RAPI_LINES,
            REQUEST.encode(),
            b"SKJOIN " + METER.encode() + b"\r\n",
        ]
        seeds += [b"SKSETPWD C 0123456789AB\r\n", b"SKLL64 001C640003CD76A4\r\n"]
        for frame in mutations(seeds):
            meter.received(frame)
            board.received(frame)
            node.received(frame, ("127.0.0.1", 1))
            adapter.received(frame)
            await asyncio.sleep(0)
        await adapter.stop()

    asyncio.run(scenario())
