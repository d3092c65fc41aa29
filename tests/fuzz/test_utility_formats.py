"""Mutated meter data files: a declared refusal or sound facts, never a crash, never a hang.

`GRIDCORD_FUZZ_FILES` asks for more than the usual four hundred of each format.
"""

from __future__ import annotations

import os
import random
import zipfile
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.utility_adapter.meter_data import BUILDERS, OPTIONS, Builder, Sample
from utility_adapter.domain.readings import MAX_WH
from utility_adapter.sources import FileRefused, Format, Limits, detect, read_file
from utility_adapter.sources.formats import READERS

FILES = int(os.environ.get("GRIDCORD_FUZZ_FILES", "400"))
SAMPLE = Sample(sites=2, days=1)
SOUND = {build.name: build.text(SAMPLE).encode() for build in BUILDERS}
FUZZ = replace(OPTIONS, limits=Limits(file_bytes=1 << 22, element_bytes=1 << 20, names=1000))
TOKENS = [
    b"",
    b"-",
    b",",
    b"|",
    b"\n",
    b"\r",
    b"\0",
    b'"',
    b"<",
    b"</",
    b"/>",
    b"&amp;",
    b"&x;",
    b"<![CDATA[",
    b"<!--",
    b"9" * 20,
    b"1e9",
    b"nan",
    b"Infinity",
    b"99999999",
    b"00000000",
    b"\xff",
    b"\xef\xbb\xbf",
    "٣".encode(),
    "０".encode(),
    b"2026-13-45T99:99:99+99:99",
    b"0001-01-01T00:00:00+14:00",
    b"9999-12-31T23:59:59-14:00",
    b"E1B1E2B2",
    b"\xe2\x80\xa8",
]


def check(path: Path) -> bool:
    """Read a file whatever it holds; tell whether it was accepted."""
    try:
        with read_file(path, FUZZ) as delivery:
            for fact in delivery.facts():
                assert 0 <= fact.wh <= MAX_WH
                assert fact.period.length_s == FUZZ.period_s
                assert fact.step_wh >= 1
            for transfer in delivery.transfers:
                assert transfer.site_to_vehicle_wh >= 0
            return True
    except FileRefused as refused:
        assert refused.file == path.name
        assert refused.reason
        assert refused.line is None or refused.line >= 1
        return False


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few changes of the kinds that transmissions and careless programs make."""
    out = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        at = chance.randrange(len(out) + 1)
        size = chance.choice([1, 1, 2, 8, 64, 512])
        match chance.randrange(6):
            case 0:
                del out[at : at + size]
            case 1:
                out[at:at] = chance.choice(TOKENS)
            case 2:
                out[at:at] = out[at : at + size]
            case 3:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 4:
                other = chance.randrange(len(out) + 1)
                out[at:at] = out[other : other + size]
            case 5:
                _replace_number(out, chance)
    return bytes(out)


def _replace_number(out: bytearray, chance: random.Random) -> None:
    digits = [n for n in range(len(out)) if 0x30 <= out[n] <= 0x39]
    if digits:
        first = last = chance.choice(digits)
        while last + 1 < len(out) and 0x30 <= out[last + 1] <= 0x39:
            last += 1
        out[first : last + 1] = chance.choice(TOKENS)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.name)
def test_mutations_are_refused_or_read(build: Builder, tmp_path: Path) -> None:
    chance = random.Random(build.name)
    path = tmp_path / f"mutated.{build.suffix}"
    outcomes = {True: 0, False: 0}
    for _ in range(FILES):
        path.write_bytes(mutated(SOUND[build.name], chance))
        outcomes[check(path)] += 1
    assert outcomes[False] > FILES // 8  # the mutations do bite


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.name)
def test_every_reader_stands_every_file(build: Builder, tmp_path: Path) -> None:
    path = build.write(tmp_path, SAMPLE)
    for expected in READERS:
        try:
            read_file(path, FUZZ, expected).close()
        except FileRefused:
            assert expected is not build.format
        else:
            assert expected is build.format


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.name)
def test_every_beginning_of_a_file_is_refused(build: Builder, tmp_path: Path) -> None:
    data = SOUND[build.name].rstrip()
    path = tmp_path / f"cut.{build.suffix}"
    chance = random.Random(build.name)
    lengths = {*range(200), *(chance.randrange(len(data)) for _ in range(100)), len(data) - 2}
    for length in lengths:
        path.write_bytes(data[:length])
        assert not check(path), length


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_noise(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("noise", numbered=True) / "noise"
    path.write_bytes(content)
    with suppress(FileRefused):
        detect(path)
    check(path)


@settings(max_examples=200, deadline=None)
@given(
    head=st.sampled_from(
        [
            b"100,NEM12,202605170010,A,B\n",
            b"ZHV|1|D0036001|C|D|X|S|20260516001000||||OPER|\n",
            b"site_id,period_start,import_wh,export_wh\n",
            b"cable_id,site_id,period_start,site_to_vehicle_wh,vehicle_to_site_wh\n",
            b"site_id\n",
            b"asset_id,kind,rated_va\n",
            b"asset_id,measured_at,loading_percent\n",
        ]
    ),
    rows=st.lists(
        st.lists(st.sampled_from([*TOKENS, b"1", b"200", b"300", b"obis:1", b"A", b"30"])),
        max_size=6,
    ),
    separator=st.sampled_from([b",", b"|"]),
)
def test_sound_headers_with_unsound_rows(
    head: bytes,
    rows: list[list[bytes]],
    separator: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("rows", numbered=True) / "rows"
    path.write_bytes(head + b"\n".join(separator.join(row) for row in rows))
    check(path)


def test_mutated_zips(tmp_path: Path) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nem12.csv", SOUND["nem12"])
    chance = random.Random(36)
    path = tmp_path / "mutated.zip"
    for _ in range(FILES):
        path.write_bytes(mutated(packed.getvalue(), chance))
        check(path)


def test_every_format_is_fuzzed() -> None:
    made = {build.format for build in BUILDERS}
    assert made == {found for found in Format if not found.value.startswith("CSV")} | {
        Format.CSV_READINGS
    }
