"""NMEA sentences: written so that an independent reader understands them, cut out of any stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynmeagps import NMEAReader

from gridcord.protocols import nmea
from gridcord.protocols.nmea import Fix
from gridcord.units import Position

AT_S = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
CENTIMETRES = 2e-7  # degrees; five decimals of a minute

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


def test_checksum_is_the_published_one() -> None:
    # NMEA 0183's own example sentence
    body = "GPGLL,5300.97914,N,00259.98174,E,125926,A"
    assert nmea.checksum(body) == 0x28


def test_body_is_given_only_with_its_checksum() -> None:
    whole = nmea.sentence("GPGSA,A,1")
    assert nmea.body_of(whole) == "GPGSA,A,1"
    for damaged in (b"", b"$GPGSA,A,1", whole.replace(b"A,1", b"A,2"), whole[1:]):
        with pytest.raises(nmea.NmeaError):
            nmea.body_of(damaged)


@given(latitudes, longitudes)
def test_independent_reader_finds_the_same_place(latitude: float, longitude: float) -> None:
    pending = bytearray(nmea.encode(Fix(at_s=AT_S, position=Position(latitude, longitude))))
    gga, gsa, rmc = map(NMEAReader.parse, nmea.take_sentences(pending))
    assert (gga.msgID, gsa.msgID, rmc.msgID) == ("GGA", "GSA", "RMC")
    for message in (gga, rmc):
        assert float(message.lat) == pytest.approx(latitude, abs=CENTIMETRES)
        assert float(message.lon) == pytest.approx(longitude, abs=CENTIMETRES)
        assert str(message.time) == "08:00:00"
    assert (rmc.status, gga.quality, gsa.navMode) == ("A", 1, 3)
    assert str(rmc.date) == "2027-01-15"
    assert not pending


def test_without_a_fix_there_is_no_place() -> None:
    pending = bytearray(nmea.encode(Fix(at_s=AT_S, position=None)))
    gga, gsa, rmc = map(NMEAReader.parse, nmea.take_sentences(pending))
    assert (rmc.status, rmc.lat, gga.quality, gga.lat, gsa.navMode) == ("V", "", 0, "", 1)


@given(st.lists(st.integers(1, 40), max_size=20))
def test_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    stream = b"\xff\x00half,a,line*00\r\n" + nmea.encode(
        Fix(at_s=AT_S, position=Position(35.0, 139.0))
    )
    pending, found, at = bytearray(), [], 0
    for cut in [*cuts, len(stream)]:
        pending += stream[at : at + cut]
        at += cut
        found += nmea.take_sentences(pending)
    assert [NMEAReader.parse(sentence).msgID for sentence in found] == ["GGA", "GSA", "RMC"]


def test_noise_without_end_does_not_fill_memory() -> None:
    pending = bytearray()
    for _ in range(100):
        pending += b"$" * 1000
        assert nmea.take_sentences(pending) == []
        assert len(pending) <= nmea.MAX_SENTENCE
