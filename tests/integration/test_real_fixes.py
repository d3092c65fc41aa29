"""GPS logs recorded from real receivers, with gpsd's reading of them, and a stream of our own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cable_node.drivers.nmea_gps import FixFilter, GpsSettings, read_sentence
from cable_node.ports import FrameError
from gridcord.protocols import nmea
from gridcord.simulation.instruments.faults import flip_bit
from gridcord.units import Position
from tests.reference_data import reference

SAME_PLACE_M = 0.5  # 2e-6 degrees is 0.2 m; receivers and gpsd round differently

# Recording: fixes that both RMC and GGA claim, and positions told of them.
LOGS = {
    "neo-m8n": (23, 21),
    "bn-9015": (6, 4),
    "bt451": (12, 8),
    "tn200": (0, 0),  # never a fix
    "gp-320fw-2019-04-07-coldboot": (1, 0),  # damaged lines, poor dilution, week rollover
}
LOOSE = GpsSettings(port="none", max_hdop=100, agreeing=1, window=1)


def positions(log: bytes, settings: GpsSettings) -> list[Position]:
    """What the driver would tell of a recorded stream."""
    fixes, found, pending = FixFilter(settings), [], bytearray()
    for start in range(0, len(log), 37):
        pending += log[start : start + 37]
        for raw in nmea.take_sentences(pending):
            try:
                sentence = read_sentence(raw)
            except FrameError:
                continue
            position = None if sentence is None else fixes.take(sentence, at_s=0.0)
            if position is not None:
                found.append(position)
    return found


def places_of_gpsd(check: Path) -> list[Position]:
    """Positions that gpsd made of the same stream."""
    found = []
    for line in check.read_bytes().decode("latin-1").splitlines():
        if line.startswith('{"class":"TPV"') and '"lat"' in line:
            report = json.loads(line)
            found.append(Position(report["lat"], report["lon"]))
    return found


@pytest.mark.parametrize("name", list(LOGS))
def test_recorded_fixes_are_those_of_gpsd(name: str) -> None:
    ours = positions(reference(f"device/nmea/{name}.log").read_bytes(), LOOSE)
    theirs = places_of_gpsd(reference(f"device/nmea/{name}.log.chk"))
    for position in ours:
        assert min(position.distance_m(each) for each in theirs) < SAME_PLACE_M
    assert len(ours) == LOGS[name][0]


@pytest.mark.parametrize("name", list(LOGS))
def test_what_is_told_of_a_recording_is_where_it_was_made(name: str) -> None:
    theirs = places_of_gpsd(reference(f"device/nmea/{name}.log.chk"))
    log = reference(f"device/nmea/{name}.log").read_bytes()
    told = positions(log, GpsSettings(port="none"))
    assert len(told) == LOGS[name][1]
    for position in told:
        assert position.accuracy_m is not None
        assert min(position.distance_m(each) for each in theirs) < position.accuracy_m


def test_recording_indoors_tells_nothing_until_there_is_a_fix() -> None:
    log = reference("device/nmea/bt451.log").read_bytes()
    indoors, outdoors = log.split(b"# Stationary")[:2]
    assert positions(indoors, GpsSettings(port="none")) == []
    assert positions(outdoors, GpsSettings(port="none"))


def own_log(number: int = 6) -> bytes:
    place = Position(55.797019, 23.569022)
    fixes = (nmea.Fix(at_s=1_800_000_000.0 + n, position=place) for n in range(number))
    return b"".join(map(nmea.encode, fixes))


def test_the_same_on_a_stream_of_our_own() -> None:
    found = positions(own_log(), GpsSettings(port="none"))
    assert len(found) == 4
    assert all(each.distance_m(Position(55.797019, 23.569022)) < SAME_PLACE_M for each in found)


def test_sentence_with_one_wrong_bit_is_never_another_fix() -> None:
    for raw in nmea.take_sentences(bytearray(own_log(1))):
        original = read_sentence(raw)
        for bit in range(8 * (len(raw) - 2)):
            damaged = flip_bit(raw, bit)
            try:
                read = read_sentence(damaged)
            except FrameError:
                continue
            assert read == original  # a checksum's digit changed its case
