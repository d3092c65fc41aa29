"""SKSTACK lines in both dialects, and momonga's reading of the same lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from momonga.momonga_device import BP35A1Strategy, BP35C2Strategy, parse_sk_line
from momonga.momonga_response import SkParsedEvent, SkParsedRxUdp

from gridcord.protocols import skstack
from gridcord.protocols.skstack import Command, Dialect, Event, Received, SkstackError

METER = "FE80:0000:0000:0000:021C:6400:03CD:76A4"
HOST = "FE80:0000:0000:0000:021D:1290:0003:C890"
STRATEGIES = {Dialect.BP35A1: BP35A1Strategy(), Dialect.BP35C2: BP35C2Strategy()}

dialects = st.sampled_from(Dialect)


def received(dialect: Dialect, data: bytes, lqi: int | None = None) -> Received:
    return Received(
        source=METER,
        destination=HOST,
        source_port=0x0E1A,
        destination_port=0x0E1A,
        mac="001C640003CD76A4",
        secure=True,
        data=data,
        side=0 if dialect.has_side else None,
        lqi=lqi,
    )


@given(dialects, st.binary(max_size=300), st.none() | st.integers(0, 255))
def test_received_frame_survives_the_wire(dialect: Dialect, data: bytes, lqi: int | None) -> None:
    frame = received(dialect, data or b"\x10", lqi)
    line = frame.encode().decode("ascii")
    assert line.endswith("\r\n")
    assert skstack.decode_received(line, dialect) == frame


@given(dialects, st.binary(min_size=1, max_size=60))
def test_momonga_reads_the_same_frame(dialect: Dialect, data: bytes) -> None:
    frame = received(dialect, data, 0x4D if dialect.has_side else None)
    parsed = parse_sk_line(frame.encode().decode("ascii").strip(), STRATEGIES[dialect])
    assert isinstance(parsed, SkParsedRxUdp)
    assert (parsed.data, parsed.src_addr, parsed.side) == (data, METER, frame.side)


@given(dialects, st.sampled_from(Event), st.none() | st.integers(0, 2))
def test_event_survives_the_wire(dialect: Dialect, number: Event, parameter: int | None) -> None:
    line = skstack.encode_event(number, METER, dialect, parameter)
    assert skstack.decode_event(line, dialect) == (number, parameter)
    parsed = parse_sk_line(line, STRATEGIES[dialect])
    assert isinstance(parsed, SkParsedEvent)
    assert (parsed.num, parsed.param) == (number, parameter)


def test_binary_payload_is_sent_as_it_is() -> None:
    data = b"\x10\x81\r\n\x00"
    line = received(Dialect.BP35C2, data).encode(ascii_data=False)
    assert line.endswith(b" 0005 " + data + b"\r\n")


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    "line", ["", "OK", "ERXUDP", "ERXUDP " + " ".join("x" * 9), "EVENT 21", "EVENT ZZ a 0 00"]
)
def test_what_is_no_line_is_refused(dialect: Dialect, line: str) -> None:
    with pytest.raises(SkstackError):
        skstack.decode_received(line, dialect)
    with pytest.raises(SkstackError):
        skstack.decode_event(line, dialect)


def test_length_must_fit_the_payload() -> None:
    line = received(Dialect.BP35A1, b"\x10\x81").encode().decode("ascii")
    with pytest.raises(SkstackError):
        skstack.decode_received(line.replace(" 0002 ", " 0003 "), Dialect.BP35A1)
    with pytest.raises(SkstackError):
        skstack.decode_received(line.replace("1081", "108"), Dialect.BP35A1)


def send_command(dialect: Dialect, payload: bytes) -> bytes:
    side = " 0" if dialect.has_side else ""
    return f"SKSENDTO 1 {METER} 0E1A 2{side} {len(payload):04X} ".encode() + payload


@given(dialects, st.binary(max_size=40), st.lists(st.integers(1, 30), max_size=10))
def test_commands_are_cut_out_of_any_pieces(
    dialect: Dialect, payload: bytes, cuts: list[int]
) -> None:
    stream = b"\r\nSKVER\r\n" + send_command(dialect, payload) + b"ROPT\rSKINFO\r\n"
    pending, found, at = bytearray(), [], 0
    for cut in [*cuts, len(stream)]:
        pending += stream[at : at + cut]
        at += cut
        while (command := skstack.take_command(pending, dialect)) is not None:
            found.append(command)
    assert [command.name for command in found] == ["SKVER", "SKSENDTO", "ROPT", "SKINFO"]
    assert found[1].payload == payload
    assert found[0] == Command(words=("SKVER",))


def test_payload_may_look_like_a_line_end() -> None:
    pending = bytearray(send_command(Dialect.BP35A1, b"\r\nSKTERM\r\n"))
    command = skstack.take_command(pending, Dialect.BP35A1)
    assert command is not None
    assert command.payload == b"\r\nSKTERM\r\n"
    assert not pending


@pytest.mark.parametrize("start", [b"", b"SKSENDTO "])
def test_command_without_end_does_not_fill_memory(start: bytes) -> None:
    pending = bytearray(start + b"x" * (skstack.MAX_LINE + 1))
    with pytest.raises(SkstackError):
        skstack.take_command(pending, Dialect.BP35C2)
    assert not pending


def test_bad_length_of_a_payload_is_refused() -> None:
    pending = bytearray(send_command(Dialect.BP35A1, b"").replace(b"0000 ", b"00G0 "))
    with pytest.raises(SkstackError):
        skstack.take_command(pending, Dialect.BP35A1)
