"""Modbus RTU frames: the standard's CRC, every field checked, nothing taken for something else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.protocols import modbus_rtu as rtu
from gridcord.protocols.modbus_rtu import ModbusException, ModbusFrameError, ReadRequest

REQUEST = ReadRequest(unit=1, function=rtu.READ_INPUT, address=0x0048, count=4)

requests = st.builds(
    ReadRequest,
    unit=st.integers(1, 247),
    function=st.sampled_from([rtu.READ_HOLDING, rtu.READ_INPUT]),
    address=st.integers(0, 0xFFFF),
    count=st.integers(1, rtu.MAX_REGISTERS),
)


def test_crc_is_the_standards() -> None:
    # Modbus over Serial Line 1.02, appendix B: 02 07 has the CRC 41 12, low byte first.
    assert rtu.crc(b"\x02\x07") == b"\x41\x12"


def test_request_has_the_bytes_of_the_standard() -> None:
    assert REQUEST.encode().hex() == "01040048000471df"


@given(requests)
def test_request_survives_the_wire(request: ReadRequest) -> None:
    assert rtu.decode_request(request.encode()) == request


@given(requests, st.data())
def test_response_survives_the_wire(request: ReadRequest, data: st.DataObject) -> None:
    values = data.draw(st.binary(min_size=2 * request.count, max_size=2 * request.count))
    frame = rtu.encode_response(request, values)
    assert rtu.response_length(frame[: rtu.HEADER_LENGTH]) == len(frame)
    assert rtu.decode_response(request, frame) == values


@given(requests, st.integers(0, 8 * 8 - 1))
def test_one_wrong_bit_spoils_a_request(request: ReadRequest, bit: int) -> None:
    frame = bytearray(request.encode())
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ModbusFrameError):
        rtu.decode_request(bytes(frame))


@pytest.mark.parametrize(
    "other",
    [
        ReadRequest(unit=2, function=rtu.READ_INPUT, address=0x0048, count=4),
        ReadRequest(unit=1, function=rtu.READ_HOLDING, address=0x0048, count=4),
        ReadRequest(unit=1, function=rtu.READ_INPUT, address=0x0048, count=6),
    ],
)
def test_answer_to_another_request_is_not_taken(other: ReadRequest) -> None:
    late = rtu.encode_response(other, bytes(2 * other.count))
    with pytest.raises(ModbusFrameError):
        rtu.decode_response(REQUEST, late)


def test_exception_carries_its_code() -> None:
    frame = rtu.encode_exception(REQUEST, rtu.ILLEGAL_ADDRESS)
    assert rtu.response_length(frame[:3]) == len(frame)
    with pytest.raises(ModbusException) as caught:
        rtu.decode_response(REQUEST, frame)
    assert caught.value.code == rtu.ILLEGAL_ADDRESS


def test_float_is_big_endian_high_word_first() -> None:
    values = bytes(2) + struct.pack(">f", 1234.567) + bytes(2)
    assert rtu.float_at(values, 1) == pytest.approx(1234.567, rel=1e-7)
    with pytest.raises(ModbusFrameError):
        rtu.float_at(values, 3)


@pytest.mark.parametrize(
    ("unit", "function", "address", "count"),
    [(0, 4, 0, 1), (248, 4, 0, 1), (1, 16, 0, 1), (1, 4, -1, 1), (1, 4, 0, 0), (1, 4, 0, 126)],
)
def test_impossible_request_is_refused(unit: int, function: int, address: int, count: int) -> None:
    with pytest.raises(ModbusFrameError):
        ReadRequest(unit=unit, function=function, address=address, count=count)


def test_wrong_number_of_values_is_refused() -> None:
    with pytest.raises(ModbusFrameError):
        rtu.encode_response(REQUEST, bytes(6))
