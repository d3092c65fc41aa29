"""Files made to harm: entities, external references, endless elements, bombs in zips."""

from __future__ import annotations

import os
import socket
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.utility_adapter.files import read_text
from tests.unit.utility_adapter.meter_data import (
    ESPI,
    IEC_DELTAS,
    JAPAN_CONFIRMED,
    NEM12,
    OPTIONS,
    Builder,
    Sample,
)
from utility_adapter.sources import FileRefused, Format, Limits, detect, read_file
from utility_adapter.sources.document import open_document
from utility_adapter.sources.formats import read_document

SAMPLE = Sample(sites=1, days=1)
xml_formats = pytest.mark.parametrize(
    "build", [ESPI, IEC_DELTAS, JAPAN_CONFIRMED], ids=lambda build: build.name
)

LAUGHS = "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' if n else '<!ENTITY a0 "ha">' for n in range(12)
)


def with_type(text: str, declarations: str, use: str = "") -> str:
    """A sound file with a document type, and an entity used in its first text."""
    head, _, body = text.partition("\n")
    root = body.lstrip("<").partition(">")[0].split()[0].rstrip("/")
    first, _, rest = body.partition(">")
    return f"{head}\n<!DOCTYPE {root} [{declarations}]>\n{first}>{use}{rest}"


@xml_formats
@pytest.mark.parametrize(
    ("declarations", "use"),
    [
        (LAUGHS, "&a11;"),
        ('<!ENTITY big "' + "x" * 10_000 + '">', "&big;" * 10_000),
        ('<!ENTITY secret SYSTEM "file:///etc/passwd">', "&secret;"),
        ('<!ENTITY % remote SYSTEM "http://127.0.0.1:9/x.dtd"> %remote;', ""),
        ("", ""),
    ],
    ids=["laughs", "quadratic", "file", "parameter", "empty"],
)
def test_a_document_type_is_refused(
    build: Builder, declarations: str, use: str, tmp_path: Path
) -> None:
    text = with_type(build.text(SAMPLE), declarations, use)
    with pytest.raises(FileRefused, match="document type is not accepted"):
        read_text(tmp_path, text, "bomb.xml")
    document = open_document(tmp_path / "bomb.xml", Limits())
    with pytest.raises(FileRefused, match="document type is not accepted"):
        read_document(document, OPTIONS, build.format)


@xml_formats
def test_a_document_type_behind_a_long_comment_is_refused_too(
    build: Builder, tmp_path: Path
) -> None:
    head, _, body = with_type(build.text(SAMPLE), LAUGHS, "&a11;").partition("\n")
    path = tmp_path / "late.xml"
    path.write_text(f"{head}\n<!-- {'x' * 300_000} -->\n{body}", encoding="utf-8")
    with pytest.raises(FileRefused):
        read_document(open_document(path, Limits()), OPTIONS, build.format)


@xml_formats
def test_utf_16_hides_no_document_type(build: Builder, tmp_path: Path) -> None:
    text = with_type(build.text(SAMPLE), LAUGHS).replace('encoding="UTF-8"', 'encoding="UTF-16"')
    path = tmp_path / "wide.xml"
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(FileRefused, match="document type is not accepted"):
        read_file(path, OPTIONS)


def test_nothing_is_fetched(tmp_path: Path) -> None:
    """A schema location and a stylesheet point at a listening socket that nobody visits."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        head, _, body = ESPI.text(SAMPLE).partition("\n")
        body = body.replace(
            "<feed ",
            f'<feed xmlns:i="http://www.w3.org/2001/XMLSchema-instance" '
            f'i:schemaLocation="http://naesb.org/espi {address}.xsd" ',
            1,
        )
        text = f'{head}\n<?xml-stylesheet type="text/xsl" href="{address}.xslt"?>\n{body}'
        with read_text(tmp_path, text) as delivery:
            assert delivery.summary.facts == 96
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@xml_formats
def test_an_element_that_never_ends_is_refused_before_it_fills_the_memory(
    build: Builder, tmp_path: Path
) -> None:
    text = build.text(Sample(sites=1, days=30))
    limits = Limits(element_bytes=100_000)
    endless = "<x>" + "<y>1</y>" * 100_000
    record = {ESPI: "<entry>", IEC_DELTAS: "<MeterReading>", JAPAN_CONFIRMED: "<JPMR00010>"}[build]
    head, _, rest = text.partition(record)
    with pytest.raises(FileRefused, match="no record ends within 100000 bytes"):
        read_text(tmp_path, head + record + endless + rest, limits=limits)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    head, _, rest = ESPI.text(SAMPLE).partition("<entry>")
    with pytest.raises(FileRefused, match="not well-formed"):
        read_text(tmp_path, head + "<d>" * 5000 + "</d>" * 5000 + "<entry>" + rest)


def test_a_zip_that_lies_about_its_size_is_cut_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nem12.csv", b"100,NEM12,202605170010,A,B\n" + b"\n" * 50_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(FileRefused, match="more than 1000000 bytes"):
        read_file(path, replace(OPTIONS, limits=Limits(file_bytes=1_000_000)))


@pytest.mark.parametrize("damage", ["cut", "flip", "encrypted"])
def test_a_broken_zip_is_refused(damage: str, tmp_path: Path) -> None:
    plain = NEM12.write(tmp_path, Sample(sites=20, days=2))
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "nem12.csv")
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 : len(data) // 2 + 50]
    elif damage == "flip":
        data[len(data) // 2] ^= 0xFF
    else:
        directory = data.index(b"PK\x01\x02")
        data[6] |= 1
        data[directory + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(FileRefused, match="zip"):
        read_file(path, OPTIONS)


@pytest.mark.parametrize("members", [[], ["a/"]])
def test_an_empty_zip_is_refused(members: list[str], tmp_path: Path) -> None:
    path = tmp_path / "empty.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, "")
    with pytest.raises(FileRefused, match="must hold one file"):
        detect(path)


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    text = "100,NEM12,202605170010,A,B\n200," + "x" * 5000
    with pytest.raises(FileRefused, match=r"file\.txt:2: a line of more than 1000 bytes"):
        read_text(tmp_path, text, limits=Limits(line_bytes=1000))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(NEM12.text(SAMPLE).encode().replace(b"RETAILER\n200", b"RETAILER\n\xff200"))
    with pytest.raises(FileRefused, match=r"latin\.csv:2: not UTF-8 at byte 0"):
        read_file(path, OPTIONS)


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 100, b"%PDF-1.7", b"<html></html>", b"<"])
def test_what_is_no_meter_data_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "something"
    path.write_bytes(content)
    for read in (lambda: detect(path), lambda: read_file(path, OPTIONS)):
        with pytest.raises(FileRefused, match="of no format that we read") as refused:
            read()
        assert refused.value.line == 1


def test_a_file_that_is_written_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """Green Button is read in two passes; both must see the same bytes."""
    path = ESPI.write(tmp_path, SAMPLE)
    document = open_document(path, Limits())
    with path.open("a") as out:
        out.write("\n")
    with pytest.raises(FileRefused, match="the file changed while it was read"):
        read_document(document, OPTIONS, Format.ESPI)


def test_a_file_that_is_replaced_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = ESPI.write(tmp_path, SAMPLE)
    document = open_document(path, Limits())
    (tmp_path / "new").write_bytes(path.read_bytes())
    os.replace(tmp_path / "new", path)  # noqa: PTH105
    with pytest.raises(FileRefused, match="the file changed while it was read"):
        read_document(document, OPTIONS, Format.ESPI)


def test_files_are_read_in_threads(tmp_path: Path) -> None:
    path = NEM12.write(tmp_path, SAMPLE)
    counts: list[int] = []

    def read() -> None:
        with read_file(path, OPTIONS) as delivery:
            counts.append(len(list(delivery.facts())))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [96] * 4


def test_another_format_than_expected_is_refused(tmp_path: Path) -> None:
    path = NEM12.write(tmp_path, SAMPLE)
    for expected in Format:
        if expected is not Format.NEM12:
            with pytest.raises(FileRefused):
                read_file(path, OPTIONS, expected)
