"""P1 telegrams recorded from real meters, and ones of our own, through the driver's reader."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cable_node.drivers.p1 import VARIANTS, SiteTelegram, TelegramSplitter, read_telegram
from cable_node.ports import FrameError
from gridcord.metering.reading import Registers
from gridcord.protocols import p1
from gridcord.simulation.instruments.faults import flip_bit
from tests.reference_data import FOLDER, reference


def telegram_s(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float:
    """Seconds since 1970 of a Dutch wall clock in summer."""
    return datetime(year, month, day, hour - 2, minute, second, tzinfo=UTC).timestamp()


RECORDED_TELEGRAMS = [
    (
        "telegram_v5_two_mbus",
        "5",
        SiteTelegram(
            identifier="4530303434303037333832323436303139",
            registers=Registers(
                at_s=telegram_s(2020, 4, 26, 22, 33, 25),
                import_wh=2_130_115 + 245_467,
                export_wh=0,
                power_w=111,
            ),
        ),
    ),
    (
        "telegram_v4_2",
        "4",
        SiteTelegram(
            identifier="3960221976967177082151037881335713",
            registers=Registers(
                at_s=telegram_s(2016, 11, 13, 21, 57, 57),  # W: 20:57:57 in winter
                import_wh=1_581_123 + 1_435_706,
                export_wh=0,
                power_w=2027,
            ),
        ),
    ),
    (
        "telegram_fluvius_v171",
        "5B",
        SiteTelegram(
            identifier="3153414733313031303231363035",
            registers=Registers(
                at_s=telegram_s(2020, 5, 12, 13, 54, 9), import_wh=15_792, export_wh=11, power_w=0
            ),
        ),
    ),
    (
        "telegram_v5_eon_hu",
        "5EONHU",
        SiteTelegram(
            identifier="383930303832323030303032313630",
            registers=Registers(
                at_s=telegram_s(2023, 7, 24, 15, 7, 30),
                import_wh=173_640,
                export_wh=627_177,
                power_w=-2601,
            ),
        ),
    ),
]


@pytest.mark.parametrize(("name", "version", "expected"), RECORDED_TELEGRAMS)
def test_recorded_telegram_is_read(name: str, version: str, expected: SiteTelegram) -> None:
    data = reference(f"device/dsmr/{name}.txt").read_bytes()
    (text,) = TelegramSplitter().feed(data)
    assert read_telegram(text, VARIANTS[version]) == expected


@pytest.mark.parametrize("name", ["telegram_v2_2", "telegram_esy5q3db1024_v304"])
def test_telegram_without_checksum_is_refused(name: str) -> None:
    data = reference(f"device/dsmr/{name}.txt").read_bytes()
    for text in TelegramSplitter().feed(data):
        with pytest.raises(FrameError):
            read_telegram(text, VARIANTS["5"])


def own_telegram() -> p1.Telegram:
    return p1.Telegram(
        equipment_id="E0043007500000001",
        at_s=1_800_000_000.0,
        import_wh=(1_000, 2_000),
        export_wh=(30, 4),
        power_w=-2601,
    )


def test_the_same_on_a_telegram_of_our_own() -> None:
    (text,) = TelegramSplitter().feed(own_telegram().encode())
    assert read_telegram(text, VARIANTS["5"]) == SiteTelegram(
        identifier=b"E0043007500000001".hex(),
        registers=Registers(at_s=1_800_000_000.0, import_wh=3_000, export_wh=34, power_w=-2601),
    )


def telegrams() -> Iterator[tuple[bytes, str]]:
    yield own_telegram().encode(), "5"
    for name, version, _ in RECORDED_TELEGRAMS:
        path = FOLDER / f"device/dsmr/{name}.txt"
        if path.exists():
            yield path.read_bytes(), version


def test_telegram_with_one_wrong_bit_is_never_used() -> None:
    for whole, version in telegrams():
        original = [read_telegram(t, VARIANTS[version]) for t in TelegramSplitter().feed(whole)]
        assert len(original) == 1
        for bit in range(0, 8 * len(whole), 41):
            for text in TelegramSplitter().feed(flip_bit(whole, bit)):
                try:
                    read = read_telegram(text, VARIANTS[version])
                except FrameError:
                    continue
                assert [read] == original  # the bit was beside the telegram
