"""ECHONET Lite frames and the values of meters."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.protocols import echonet, echonet_energy
from gridcord.protocols.echonet import EchonetError, Frame, Property, Service
from gridcord.protocols.echonet_energy import FixedTime, LocalTime

eojs = st.binary(min_size=3, max_size=3)
properties = st.builds(Property, st.integers(0x80, 0xFF), st.binary(max_size=255))
frames = st.builds(
    Frame,
    transaction=st.integers(0, 0xFFFF),
    source=eojs,
    destination=eojs,
    service=st.sampled_from(Service),
    properties=st.lists(properties, max_size=6).map(tuple),
)

POWER_REQUEST = Frame(
    transaction=1,
    source=echonet_energy.CONTROLLER,
    destination=echonet_energy.SMART_METER,
    service=Service.GET,
    properties=(Property(0xE7),),
)


def test_request_has_the_bytes_of_the_specification() -> None:
    assert POWER_REQUEST.encode().hex() == "1081000105ff010288016201e700"


def test_answer_goes_back_with_the_same_number() -> None:
    data = echonet_energy.encode_power(-1962)
    answer = POWER_REQUEST.answer(Service.GET_RES, (Property(0xE7, data),))
    assert answer.encode().hex() == "1081000102880105ff017201e704fffff856"


@given(frames)
def test_frame_survives_the_wire(frame: Frame) -> None:
    assert echonet.decode(frame.encode()) == frame


@given(frames, st.data())
def test_frame_cut_short_or_long_is_refused(frame: Frame, data: st.DataObject) -> None:
    whole = frame.encode()
    for damaged in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\x00"):
        with pytest.raises(EchonetError):
            echonet.decode(damaged)


def test_foreign_header_and_unknown_service_are_refused() -> None:
    whole = POWER_REQUEST.encode()
    for damaged in (b"\x10\x82" + whole[2:], whole[:10] + b"\x99" + whole[11:]):
        with pytest.raises(EchonetError):
            echonet.decode(damaged)


def test_property_of_more_than_a_byte_is_refused() -> None:
    frame = POWER_REQUEST.answer(Service.GET_RES, (Property(0xE2, bytes(256)),))
    with pytest.raises(EchonetError):
        frame.encode()


@given(st.frozensets(st.integers(0x80, 0xFF)))
def test_property_map_survives_the_wire(codes: frozenset[int]) -> None:
    data = echonet.encode_property_map(codes)
    assert echonet.decode_property_map(data) == codes
    assert len(data) == (1 + len(codes) if len(codes) < 16 else 17)


def test_property_map_is_the_appendix_example() -> None:
    # ECHONET Lite specification, appendix 1, format 2: 0x80 is bit 0 of the first byte
    codes = frozenset(range(0x80, 0x90)) | {0xE7}
    data = echonet.encode_property_map(codes)
    assert data[1] == 0b0000_0001
    assert data[8] == 0b0100_0001


@pytest.mark.parametrize("data", [b"", b"\x02\x80", b"\x11" + bytes(15), b"\x01\x80\x81"])
def test_property_map_of_wrong_length_is_refused(data: bytes) -> None:
    with pytest.raises(EchonetError):
        echonet.decode_property_map(data)


@given(st.none() | st.integers(0, echonet_energy.MAX_COUNT))
def test_count_survives_the_wire(count: int | None) -> None:
    assert echonet_energy.decode_count(echonet_energy.encode_count(count)) == count


def test_register_begins_again_after_eight_digits() -> None:
    data = echonet_energy.encode_count(echonet_energy.MAX_COUNT + 6)
    assert echonet_energy.decode_count(data) == 5
    with pytest.raises(EchonetError):
        echonet_energy.decode_count((echonet_energy.MAX_COUNT + 1).to_bytes(4, "big"))


@given(st.none() | st.integers(-(2**31), 0x7FFF_FFFD))
def test_power_survives_the_wire(power_w: int | None) -> None:
    assert echonet_energy.decode_power(echonet_energy.encode_power(power_w)) == power_w


@given(
    st.datetimes(),
    st.none() | st.integers(0, echonet_energy.MAX_COUNT),
)
def test_fixed_time_survives_the_wire(at: object, count: int | None) -> None:
    fields = ("year", "month", "day", "hour", "minute", "second")
    time = LocalTime(**{field: getattr(at, field) for field in fields})
    value = FixedTime(time=time, count=count)
    assert echonet_energy.decode_fixed_time(value.encode()) == value


@pytest.mark.parametrize("at", ["07e70d0c000000", "07e70b0c180000", "07e70b0c003c00"])
def test_time_that_does_not_exist_is_refused(at: str) -> None:
    with pytest.raises(EchonetError):
        echonet_energy.decode_fixed_time(bytes.fromhex(at) + bytes(4))


def test_units_are_exact() -> None:
    assert echonet_energy.decode_unit_wh(b"\x01") == 100
    assert echonet_energy.decode_unit_wh(b"\x04") == Fraction(1, 10)
    with pytest.raises(EchonetError):
        echonet_energy.decode_unit_wh(b"\x05")


@given(
    st.integers(1, 200),
    st.lists(st.none() | st.integers(0, echonet_energy.MAX_COUNT), max_size=50),
)
def test_channels_survive_the_wire(first: int, counts: list[int | None]) -> None:
    data = echonet_energy.encode_channels(first, counts)
    expected = {first + index: count for index, count in enumerate(counts)}
    assert echonet_energy.decode_channels(data) == expected
    with pytest.raises(EchonetError):
        echonet_energy.decode_channels(data + b"\x00")
