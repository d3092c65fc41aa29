"""One format a file: what utilities send, and what we send them.

The port is in `source`; `detect` and `read_file` take any file of any of the formats. A file is
read to its end and found sound before the first of its values is handed on, or it is refused with
its name, line and reason.
"""

from collections.abc import Mapping

from utility_adapter.sources.defect import FileRefused
from utility_adapter.sources.delivery import Delivery, ReadingSource, Summary
from utility_adapter.sources.espi.pull import EspiPull, EspiSubscription, PullCursor
from utility_adapter.sources.espi.write import write_espi_readings, write_espi_transfers
from utility_adapter.sources.formats import detect, read_document, read_file
from utility_adapter.sources.nem12.writer import (
    Nem12Names,
    write_nem12_readings,
    write_nem12_transfers,
)
from utility_adapter.sources.own_csv.readings import write_csv_readings, write_csv_transfers
from utility_adapter.sources.pull import NotReady, PullFailed
from utility_adapter.sources.series import NotExpressible
from utility_adapter.sources.source import (
    Format,
    Limits,
    Note,
    NoteKind,
    ReadOptions,
    RegisterRead,
    TransferWriter,
)

TRANSFER_WRITERS: Mapping[Format, TransferWriter] = {
    Format.CSV_TRANSFERS: write_csv_transfers,
    Format.ESPI: write_espi_transfers,
    Format.NEM12: write_nem12_transfers,
}

__all__ = [
    "TRANSFER_WRITERS",
    "Delivery",
    "EspiPull",
    "EspiSubscription",
    "FileRefused",
    "Format",
    "Limits",
    "Nem12Names",
    "NotExpressible",
    "NotReady",
    "Note",
    "NoteKind",
    "PullCursor",
    "PullFailed",
    "ReadOptions",
    "ReadingSource",
    "RegisterRead",
    "Summary",
    "TransferWriter",
    "detect",
    "read_document",
    "read_file",
    "write_csv_readings",
    "write_csv_transfers",
    "write_espi_readings",
    "write_espi_transfers",
    "write_nem12_readings",
    "write_nem12_transfers",
]
