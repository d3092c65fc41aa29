"""Which format a file is of, and reading it whatever it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lxml import etree

from utility_adapter.sources.d0036 import read_d0036
from utility_adapter.sources.defect import Defect, FileRefused
from utility_adapter.sources.delivery import Delivery, collect
from utility_adapter.sources.document import open_document
from utility_adapter.sources.espi.entry import ATOM
from utility_adapter.sources.espi.feed import read_espi
from utility_adapter.sources.iec61968.reader import read_iec61968
from utility_adapter.sources.japan_xml import read_japan
from utility_adapter.sources.nem12.reader import read_nem12
from utility_adapter.sources.own_csv.lines import (
    ASSETS,
    LOADINGS,
    READINGS,
    SITES,
    TRANSFERS,
    header_score,
)
from utility_adapter.sources.own_csv.readings import read_csv_readings, read_csv_transfers
from utility_adapter.sources.own_csv.register import (
    read_csv_assets,
    read_csv_loadings,
    read_csv_sites,
)
from utility_adapter.sources.source import Document, Format, FormatReader, Limits, ReadOptions
from utility_adapter.sources.xml_stream import Element, refuse_document_type

READERS: Mapping[Format, FormatReader] = {
    Format.CSV_READINGS: read_csv_readings,
    Format.CSV_TRANSFERS: read_csv_transfers,
    Format.CSV_SITES: read_csv_sites,
    Format.CSV_ASSETS: read_csv_assets,
    Format.CSV_LOADINGS: read_csv_loadings,
    Format.ESPI: read_espi,
    Format.NEM12: read_nem12,
    Format.JAPAN_30_MINUTE: read_japan,
    Format.IEC_61968_9: read_iec61968,
    Format.D0036: read_d0036,
}
_TABLES = {
    Format.CSV_READINGS: READINGS,
    Format.CSV_TRANSFERS: TRANSFERS,
    Format.CSV_SITES: SITES,
    Format.CSV_ASSETS: ASSETS,
    Format.CSV_LOADINGS: LOADINGS,
}
_HEAD_BYTES = 1 << 14


def detect(path: Path, limits: Limits | None = None) -> Format:
    """Which format a file, or the file within a zip, is of, by its beginning.

    Raises:
        FileRefused: Of none that we read, too big, or a broken zip.
        OSError: It cannot be opened.
    """
    try:
        return _detect(open_document(path, limits or Limits()))
    except Defect as defect:
        raise _refused(path.name, defect) from None


def read_file(path: Path, options: ReadOptions, expected: Format | None = None) -> Delivery:
    """Read a file to its end.

    Args:
        path: A file, or a zip of one file.
        options: What it does not say about itself.
        expected: What it must be; None to find out.

    Raises:
        FileRefused: Broken, of no format that we read, or too big; nothing of it is imported.
        OSError: It cannot be opened or read.
    """
    try:
        document = open_document(path, options.limits)
    except Defect as defect:
        raise _refused(path.name, defect) from None
    return read_document(document, options, expected)


def read_document(
    document: Document,
    options: ReadOptions,
    expected: Format | None = None,
) -> Delivery:
    """Read what was delivered at once; see `read_file`."""
    try:
        found = _detect(document)
        if expected not in (None, found):
            raise Defect(1, f"{found}, where {expected} was expected")
        items = READERS[found](document, options)
        return collect(name=document.name, found=found, items=items, options=options)
    except Defect as defect:
        raise _refused(document.name, defect) from None


def _refused(name: str, defect: Defect) -> FileRefused:
    return FileRefused(file=name, line=defect.line, reason=defect.reason)


def _detect(document: Document) -> Format:
    with document.parts[0].open() as stream:
        head = stream.read(_HEAD_BYTES)
    found = _xml(head) if _looks_like_xml(head) else _text(head)
    if found is None:
        known = ", ".join(Format)
        raise Defect(1, f"of no format that we read ({known}): {head[:40]!r}")
    return found


def _looks_like_xml(head: bytes) -> bool:
    return head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<")


def _text(head: bytes) -> Format | None:
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    first = text.partition("\n")[0].strip()
    if first.upper().startswith("100,NEM12"):
        return Format.NEM12
    if first.startswith("ZHV|"):
        return Format.D0036 if "|D0036" in first else None
    fields = first.split(",")
    best = max(_TABLES, key=lambda found: header_score(fields, _TABLES[found]))
    return best if header_score(fields, _TABLES[best]) else None


def _xml(head: bytes) -> Format | None:
    """By the root element; nothing below it is looked at."""
    refuse_document_type(head)
    parser = etree.XMLPullParser(
        events=("start",), resolve_entities=False, no_network=True, load_dtd=False
    )
    root = ""
    with suppress(etree.XMLSyntaxError):  # the reader will say what is wrong further down
        parser.feed(head)
    for _, element in parser.read_events():
        root = str(element.tag) if isinstance(element, Element) else ""
        break
    namespace, _, name = root.rpartition("}")
    if namespace == "{" + ATOM and name in ("feed", "entry"):
        return Format.ESPI
    if name == "SBD-MSG":
        return Format.JAPAN_30_MINUTE
    if name in ("EventMessage", "MeterReadings"):
        return Format.IEC_61968_9
    return None
