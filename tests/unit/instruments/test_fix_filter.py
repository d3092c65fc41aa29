"""Which GPS fixes are believed."""

from __future__ import annotations

import pytest

from cable_node.drivers.nmea_gps import FixFilter, GpsSettings, Sentence, read_sentence
from cable_node.ports import FrameError
from gridcord.protocols import nmea
from gridcord.protocols.nmea import Fix
from gridcord.units import Position

TOKYO = Position(35.681236, 139.767125)
AT_S = 1_800_000_000.0
SETTINGS = GpsSettings(port="none")


def sentences(fix: Fix) -> list[Sentence]:
    raw = nmea.take_sentences(bytearray(nmea.encode(fix)))
    return [each for each in map(read_sentence, raw) if each is not None]


def positions(*fixes: Fix) -> list[Position | None]:
    """What comes of each fix."""
    fix_filter = FixFilter(SETTINGS)
    found: list[Position | None] = []
    for fix in fixes:
        told = [fix_filter.take(each, at_s=AT_S) for each in sentences(fix)]
        found.append(next((each for each in told if each is not None), None))
    return found


def fix(
    second: int, position: Position | None = TOKYO, *, hdop: float = 0.9, at_s: float = AT_S
) -> Fix:
    return Fix(at_s=at_s + second, position=position, hdop=hdop)


def test_the_third_consistent_fix_is_told() -> None:
    found = positions(*(fix(n) for n in range(4)))
    assert found[:2] == [None, None]
    assert found[2] is not None
    assert found[2].distance_m(TOKYO) < 1
    assert found[2].accuracy_m == pytest.approx(9)
    assert found[2].fix_time_s == AT_S


def test_without_fix_nothing_is_told_and_counting_begins_anew() -> None:
    found = positions(fix(0), fix(1), fix(2, None), fix(3), fix(4), fix(5))
    assert [each is not None for each in found] == [False] * 5 + [True]


def test_claim_to_be_at_zero_is_not_believed() -> None:
    assert positions(*(fix(n, Position(0.0, 0.0)) for n in range(5))) == [None] * 5


def test_bad_dilution_is_not_believed() -> None:
    assert positions(*(fix(n, hdop=5.1) for n in range(5))) == [None] * 5


def test_date_of_1999_does_not_matter() -> None:
    found = positions(*(fix(n, at_s=AT_S - 1024 * 7 * 86_400) for n in range(3)))
    assert found[2] is not None
    assert found[2].fix_time_s == AT_S


def test_leap_to_another_place_begins_anew() -> None:
    osaka = Position(34.702485, 135.495951)
    found = positions(*(fix(n) for n in range(3)), *(fix(n, osaka) for n in range(3, 6)))
    assert [each is not None for each in found] == [False, False, True, False, False, True]
    assert found[5] is not None
    assert found[5].distance_m(osaka) < 1


def test_median_shrugs_off_a_single_outlier() -> None:
    outlier = Position(TOKYO.latitude_deg + 0.0003, TOKYO.longitude_deg)  # 33 m
    found = positions(fix(0), fix(1), fix(2, outlier), fix(3), fix(4))
    assert found[4] is not None
    assert found[4].distance_m(TOKYO) < 1


def test_both_sides_of_the_date_line_are_neighbours() -> None:
    found = positions(
        fix(0, Position(-17.0, 179.9999)),
        fix(1, Position(-17.0, -179.9999)),
        fix(2, Position(-17.0, 179.9999)),
    )
    assert found[2] is not None
    assert abs(found[2].longitude_deg) == pytest.approx(179.9999, abs=1e-4)


def test_sentences_of_different_seconds_are_not_paired() -> None:
    fix_filter = FixFilter(SETTINGS)
    for second in range(6):
        gga, _ = sentences(fix(2 * second))
        _, rmc = sentences(fix(2 * second + 1))
        assert fix_filter.take(gga, at_s=AT_S) is None
        assert fix_filter.take(rmc, at_s=AT_S) is None


@pytest.mark.parametrize(
    "raw", [b"", b"$GPRMC", b"$GPRMC,1*00\r\n", b"$GPGGA,,,,,,,,,,,,,*\r\n", b"\xff\xff\r\n"]
)
def test_damaged_sentence_is_refused(raw: bytes) -> None:
    with pytest.raises(FrameError):
        read_sentence(raw)


def test_other_sentences_are_passed_over() -> None:
    assert read_sentence(nmea.sentence("GPGSA,A,1,,,,,,,,,,,,,,,")) is None
