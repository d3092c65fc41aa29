"""Frames recorded from real meters and boards mean to us what their recorders say they mean.

Route B, Modbus and RAPI here; telegrams and GPS beside it. The recordings are others' and not part
of the project; each proof is repeated on frames that the project's own simulated instruments make.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from momonga.momonga_device import BP35A1Strategy, parse_sk_line
from momonga.momonga_echonet_data import EchonetDataParser
from momonga.momonga_response import SkParsedRxUdp

from cable_node.drivers.modbus_meter import registers_of
from cable_node.drivers.rapi_contactor import take_answers
from cable_node.drivers.route_b_values import CountScale, half_hour
from gridcord.metering.reading import Registers
from gridcord.protocols import echonet, echonet_energy, rapi, skstack
from gridcord.protocols import modbus_rtu as rtu
from gridcord.protocols.echonet import Frame, Property, Service
from gridcord.protocols.modbus_rtu import ModbusFrameError
from gridcord.protocols.rapi import RapiLine
from gridcord.protocols.skstack import Dialect
from gridcord.simulation.instruments.faults import flip_bit
from gridcord.simulation.instruments.rapi_board import RapiBoard
from gridcord.simulation.instruments.sdm230 import Sdm230
from gridcord.simulation.instruments.source import SettablePlug, SettableRegisters
from gridcord.testing.clock import ManualClock
from tests.contract.instruments.rigs import RouteBRig, listening, run
from tests.reference_data import FOLDER, reference


def utc(year: int, month: int, day: int, hour: int, minute: int) -> int:
    """Seconds since 1970 of a Japanese wall clock."""
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) - 9 * 3600


def test_recorded_frames_have_their_documented_meaning() -> None:
    vectors = json.loads(reference("device/echonet/vectors.json").read_text())
    hexes = [f["hex"] for f in vectors["session_RS-WSUHA-P_2023-12-19"]["frames"]]
    hexes += [f["hex"] for f in vectors["others"] if "hex" in f]
    frames = {text.upper(): echonet.decode(bytes.fromhex(text)) for text in hexes}
    powers = {
        "1081525302880105FF017201E704000000E4": 228,
        "1081000102880105FF017201E704000003A0": 928,
        "1081100202880105FF017202E7040000029CE80400280028": 668,
        "1081000302880105FF017201E704FFFFF856": -1962,
        "108106E102880105FF017206800130880142E70400000698E80400A00028"
        "E0040004F3FDE3040000000B": 1688,
    }
    for text, power_w in powers.items():
        data = {p.code: p.data for p in frames[text].properties}
        assert echonet_energy.decode_power(data[0xE7]) == power_w
    many = {p.code: p.data for p in frames[list(powers)[-1]].properties}
    assert echonet_energy.decode_count(many[0xE0]) == 324_605
    assert echonet_energy.decode_count(many[0xE3]) == 11
    announced = frames["108100000EF0010EF0017301D50401028801"]
    assert announced.service is Service.INF
    assert announced.properties == (Property(0xD5, b"\x01\x02\x88\x01"),)


def half_hours(frame: Frame) -> dict[int, tuple[int, int | None]]:
    """EA and EB of a frame through momonga's parser and the driver's, in tenths of a kWh."""
    scale = CountScale(unit_kwh=0.1)
    found = {}
    for each in frame.properties:
        value = EchonetDataParser.parse_cumulative_energy_measured_at_fixed_time(
            each.data, scale.unit_kwh, scale.coefficient
        )
        told = half_hour(value, scale)
        found[each.code] = (told.at_s, told.wh)
    return found


RECORDED_ANNOUNCEMENT = (
    "1081000102880105FF017302EA0B07E70C13001E000000458EEB0B07E70C13001E0000000015"
)


def test_recorded_announcement_is_read() -> None:
    reference("device/echonet/vectors.json")
    at_s = utc(2023, 12, 19, 0, 30)
    frame = echonet.decode(bytes.fromhex(RECORDED_ANNOUNCEMENT))
    assert half_hours(frame) == {0xEA: (at_s, 1_780_600), 0xEB: (at_s, 2_100)}


def test_recorded_announcement_reaches_the_node_as_registers(tmp_path: Path) -> None:
    """Through the simulated radio into the real driver; momonga finds the unit 0.1 kWh."""
    reference("device/echonet/vectors.json")
    recorded = echonet.decode(bytes.fromhex(RECORDED_ANNOUNCEMENT))

    async def scenario() -> None:
        rig = RouteBRig(tmp_path)
        rig.clock.step(utc(2023, 12, 19, 0, 5) - rig.clock.now())
        rig.meter.announces = False
        async with rig, listening(rig.driver.readings()) as told:
            assert isinstance(await asyncio.wait_for(told.get(), 30), Registers)
            rig.meter.tell(recorded.service, recorded.properties)
            assert await asyncio.wait_for(told.get(), 30) == Registers(
                at_s=utc(2023, 12, 19, 0, 30), import_wh=1_780_600, export_wh=2_100, step_wh=100
            )

    run(scenario())


RECORDED_LINES = {
    # TID of the recorded frame and its first property: meaning
    (0x2EDB, 0xEA): ("fixed", utc(2023, 3, 13, 0, 30), 500_728),
    (0x2EDB, 0xEB): ("fixed", utc(2023, 3, 13, 0, 30), 500_728),
    (0x0001, 0xD3): ("refused",),
    (0x0001, 0xE1): ("unit", 10),
    (0x0001, 0xE0): ("count", 1_575_631),
    (0x1234, 0xE7): ("power", 760),
}


def test_lines_of_a_real_meter_have_their_documented_meaning() -> None:
    text = reference("device/echonet/ak1211_bp35a1_erxudp.txt").read_text()
    seen = {}
    for line in text.splitlines():
        received = skstack.decode_received(line, Dialect.BP35A1)
        theirs = parse_sk_line(line, BP35A1Strategy())
        assert isinstance(theirs, SkParsedRxUdp)
        assert theirs.data == received.data
        frame = echonet.decode(received.data)
        for each in frame.properties:
            seen[(frame.transaction, each.code)] = meaning(frame, each)
    assert {key: seen[key] for key in RECORDED_LINES} == RECORDED_LINES
    assert seen[(0x0001, 0xE7)] == ("power", 284)
    day = seen[(0x0001, 0xE2)]
    assert day[1][:2] == [0x1807A4, 0x1807B8]
    assert day[1].count(None) == 9


def meaning(frame: Frame, each: Property) -> Any:
    """What a property of a smart meter says."""
    if frame.service is Service.GET_SNA:
        return ("refused",)
    if each.code in (0xEA, 0xEB):
        fixed = echonet_energy.decode_fixed_time(each.data)
        time = fixed.time
        return ("fixed", utc(time.year, time.month, time.day, time.hour, time.minute), fixed.count)
    if each.code == 0xE1:
        return ("unit", echonet_energy.decode_unit_wh(each.data))
    if each.code in (0xE0, 0xE3):
        return ("count", echonet_energy.decode_count(each.data))
    if each.code == 0xE7:
        return ("power", echonet_energy.decode_power(each.data))
    if each.code == 0xE2:
        parts = [each.data[at : at + 4] for at in range(2, len(each.data), 4)]
        return ("day", [echonet_energy.decode_count(part) for part in parts])
    return ("other", each.data)


def own_announcement() -> bytes:
    time = echonet_energy.LocalTime(year=2027, month=1, day=15, hour=17, minute=30)
    values = ((0xEA, 17_806), (0xEB, 21))
    return Frame(
        transaction=7,
        source=echonet_energy.SMART_METER,
        destination=echonet_energy.CONTROLLER,
        service=Service.INF,
        properties=tuple(
            Property(code, echonet_energy.FixedTime(time=time, count=count).encode())
            for code, count in values
        ),
    ).encode()


def test_the_same_on_an_announcement_of_our_own() -> None:
    at_s = utc(2027, 1, 15, 17, 30)
    frame = echonet.decode(own_announcement())
    assert half_hours(frame) == {0xEA: (at_s, 1_780_600), 0xEB: (at_s, 2_100)}


def announcements() -> Iterator[bytes]:
    yield own_announcement()
    if (FOLDER / "device/echonet/vectors.json").exists():
        yield bytes.fromhex(RECORDED_ANNOUNCEMENT)


def test_every_cut_announcement_is_refused() -> None:
    for whole in announcements():
        for length in range(len(whole)):
            with pytest.raises(echonet.EchonetError):
                echonet.decode(whole[:length])


def exchanges() -> list[tuple[bytes, bytes]]:
    """Requests and answers recorded between another client and another server."""
    vectors = json.loads(reference("device/modbus_rapi_vectors.json").read_text())
    recorded = next(v for k, v in vectors.items() if k.startswith("modbus"))
    return [(bytes.fromhex(e["req"]), bytes.fromhex(e["rsp"])) for e in recorded]


def test_recorded_modbus_exchanges_are_read() -> None:
    found = []
    for asked, answered in exchanges():
        request = rtu.decode_request(asked)
        values = rtu.decode_response(request, answered)
        found += [rtu.float_at(values, at) for at in range(0, request.count, 2)]
    assert found == pytest.approx([1234.567, 89.123, 222.0, 0.0], rel=1e-6)


def test_recorded_modbus_answers_with_one_wrong_bit_are_refused() -> None:
    for asked, answered in exchanges():
        request = rtu.decode_request(asked)
        for bit in range(8 * len(answered)):
            with pytest.raises(ModbusFrameError):
                rtu.decode_response(request, flip_bit(answered, bit))


def test_simulated_meter_answers_like_the_recorded_one() -> None:
    meter = Sdm230(SettableRegisters(1_234_567, 89_123, 222))
    for asked, answered in exchanges():
        ours = meter.answer(rtu.decode_request(asked))
        if asked[3] == 0x06:  # the recorded one had no current at 222 W
            continue
        assert ours == answered


def test_the_same_on_an_exchange_of_our_own() -> None:
    meter = Sdm230(SettableRegisters(1_234_567, 89_123, -222))
    request = rtu.ReadRequest(unit=1, function=rtu.READ_INPUT, address=0, count=76)
    answered = meter.answer(request)
    values = rtu.decode_response(request, answered)
    assert registers_of(values, at_s=5.0, step_wh=1) == Registers(
        at_s=5.0, import_wh=1_234_567, export_wh=89_123, power_w=-222
    )
    for bit in range(8 * len(answered)):
        with pytest.raises(ModbusFrameError):
            rtu.decode_response(request, flip_bit(answered, bit))


def test_published_rapi_commands_are_read() -> None:
    vectors = json.loads(reference("device/modbus_rapi_vectors.json").read_text())
    told = next(v for k, v in vectors.items() if k.startswith("openevse"))
    commands = [text.split("\\r")[0] for text in told if "^" in text and text.startswith("$G")]
    assert len(commands) >= 3
    for command in commands:
        line = rapi.decode(command.encode())
        assert line.encode() == command.encode() + b"\r"


def test_simulated_board_understands_the_published_commands() -> None:
    async def scenario() -> None:
        board = RapiBoard(SettablePlug(), ManualClock())
        sent: list[bytes] = []
        board.line.send = sent.append
        board.received(b"$GS^30\r$GC^20\r$GS^31\r")
        board.received(RapiLine(("SY", "100", "6")).encode() + RapiLine(("XX",)).encode())
        answers = take_answers(bytearray(b"".join(sent)))
        assert [answer.name for answer in answers] == ["OK", "OK", "OK", "NK"]
        assert rapi.decode_state(answers[0].parameters).connected
        assert answers[2].parameters == ("100", "6", "0")

    asyncio.run(scenario())
