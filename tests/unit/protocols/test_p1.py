"""P1 telegrams: written so that dsmr-parser understands them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from dsmr_parser.exceptions import InvalidChecksumError
from dsmr_parser.parsers import TelegramParser
from dsmr_parser.telegram_specifications import V5
from hypothesis import given
from hypothesis import strategies as st

from gridcord.protocols import p1
from gridcord.protocols.p1 import Telegram

TELEGRAM = Telegram(
    equipment_id="E0043007500000001",
    at_s=1_800_000_000.0,
    import_wh=(2_130_115, 245_467),
    export_wh=(0, 89_001),
    power_w=-1503,
)
PARSER = TelegramParser(V5)

registers = st.tuples(st.integers(0, 999_999_999), st.integers(0, 999_999_999))


def test_crc_is_crc_16_arc() -> None:
    assert p1.crc(b"123456789") == 0xBB3D  # the check value of the catalogue of CRCs


@given(registers, registers, st.integers(-99_999, 99_999), st.integers(0, 4_000_000_000))
def test_independent_reader_finds_the_same(
    import_wh: tuple[int, int], export_wh: tuple[int, int], power_w: int, at_s: int
) -> None:
    at_s = at_s % 2_000_000_000 + 946_700_000  # two digits of a year: 2000 to 2063
    telegram = replace(
        TELEGRAM, import_wh=import_wh, export_wh=export_wh, power_w=power_w, at_s=float(at_s)
    )
    read = PARSER.parse(telegram.encode().decode("ascii"))
    assert read.ELECTRICITY_USED_TARIFF_1.value == Decimal(import_wh[0]) / 1000
    assert read.ELECTRICITY_USED_TARIFF_2.value == Decimal(import_wh[1]) / 1000
    assert read.ELECTRICITY_DELIVERED_TARIFF_1.value == Decimal(export_wh[0]) / 1000
    assert read.ELECTRICITY_DELIVERED_TARIFF_2.value == Decimal(export_wh[1]) / 1000
    net_kw = read.CURRENT_ELECTRICITY_USAGE.value - read.CURRENT_ELECTRICITY_DELIVERY.value
    assert net_kw == Decimal(power_w) / 1000
    assert read.P1_MESSAGE_TIMESTAMP.value == datetime.fromtimestamp(at_s, UTC)


def test_identifier_is_hexadecimal() -> None:
    read = PARSER.parse(TELEGRAM.encode().decode("ascii"))
    assert bytes.fromhex(read.EQUIPMENT_IDENTIFIER.value).decode() == TELEGRAM.equipment_id


def test_the_doubled_hour_of_autumn_is_told_apart() -> None:
    first_s = datetime(2027, 10, 31, 0, 30, tzinfo=UTC).timestamp()
    assert p1.local_time(first_s) == "271031023000S"
    assert p1.local_time(first_s + 3600) == "271031023000W"


@given(st.integers(0, len(TELEGRAM.encode()) - 7), st.integers(0, 6))
def test_one_wrong_bit_is_noticed(index: int, bit: int) -> None:
    data = bytearray(TELEGRAM.encode())
    data[index] ^= 1 << bit
    damaged = data.decode("latin-1")
    if damaged.count("!") == 1 and damaged.startswith("/"):
        with pytest.raises(InvalidChecksumError):
            PARSER.parse(damaged)
