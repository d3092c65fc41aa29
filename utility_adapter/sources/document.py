"""Opening what was delivered: plain or zipped, within limits, unchanged while it is read."""

from __future__ import annotations

import csv
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from utility_adapter.sources.defect import Defect
from utility_adapter.sources.source import Document, Limits, Part

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ENCRYPTED = 0x1
# All of these were seen from zipfile on damaged archives, a seek before the beginning included.
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)


def open_document(path: Path, limits: Limits) -> Document:
    """A file, or the one file within a zip.

    Raises:
        Defect: Too big, or a zip that is broken, encrypted or holds more or less than one file.
        OSError: It cannot be opened.
    """
    with path.open("rb") as stream:
        seen = _identity(stream)
        zipped = zipfile.is_zipfile(stream)
    if not zipped:
        if seen.size > limits.file_bytes:
            raise Defect(None, _too_big(limits))
        return Document(name=path.name, parts=(_PlainPart(path, seen, limits),))
    return Document(name=path.name, parts=(_ZippedPart(path, seen, limits, _member(path)),))


def _too_big(limits: Limits) -> str:
    return f"more than {limits.file_bytes} bytes"


@dataclass(frozen=True, slots=True)
class _Identity:
    device: int
    inode: int
    size: int
    modified_ns: int


def _identity(stream: BinaryIO) -> _Identity:
    status = os.fstat(stream.fileno())
    return _Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _open_unchanged(path: Path, seen: _Identity) -> BinaryIO:
    """Open the same bytes again: formats that need two passes must see one file twice."""
    stream = path.open("rb")
    if _identity(stream) != seen:
        stream.close()
        raise Defect(None, "the file changed while it was read")
    return stream


@dataclass(frozen=True, slots=True)
class _PlainPart(Part):
    path: Path
    seen: _Identity
    limits: Limits

    def open(self) -> BinaryIO:
        stream = _open_unchanged(self.path, self.seen)
        return _capped(stream, self.limits, stream, ())


@dataclass(frozen=True, slots=True)
class _ZippedPart(Part):
    path: Path
    seen: _Identity
    limits: Limits
    member: str

    def open(self) -> BinaryIO:
        with ExitStack() as stack:
            stream = stack.enter_context(_open_unchanged(self.path, self.seen))
            try:
                archive = stack.enter_context(zipfile.ZipFile(stream))
                inner = stack.enter_context(archive.open(self.member))
            except _BROKEN_ZIP as error:
                raise Defect(None, f"broken zip: {error}") from None
            return _capped(cast("BinaryIO", inner), self.limits, stack.pop_all(), _BROKEN_ZIP)


def _member(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
    except _BROKEN_ZIP as error:
        raise Defect(None, f"broken zip: {error}") from None
    if len(members) != 1:
        raise Defect(None, f"a zip must hold one file, this holds {len(members)}")
    if members[0].flag_bits & _ENCRYPTED:
        raise Defect(None, "the zip is encrypted")
    return members[0].filename


_Failures = tuple[type[Exception], ...]


class _Closing(Protocol):
    def close(self) -> None: ...


class _Capped(io.RawIOBase):
    """Counts what is read; what a zip claims of its size proves nothing."""

    def __init__(self, inner: BinaryIO, limits: Limits, owner: _Closing, broken: _Failures) -> None:
        self._inner = inner
        self._broken = broken
        self._owner = owner
        self._limits = limits
        self._left = limits.file_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        try:
            data = self._inner.read(len(view))
        except self._broken as error:
            raise Defect(None, f"broken zip: {error}") from None
        self._left -= len(data)
        if self._left < 0:
            raise Defect(None, _too_big(self._limits))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._owner.close()
        super().close()


def _capped(inner: BinaryIO, limits: Limits, owner: _Closing, broken: _Failures) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Capped(inner, limits, owner, broken), 1 << 18))


def only_part(document: Document) -> Part:
    """The part of a format that has no pages.

    Raises:
        Defect: There are several.
    """
    if len(document.parts) != 1:
        raise Defect(None, f"one file expected, not {len(document.parts)} pages")
    return document.parts[0]


def lines(document: Document, limits: Limits) -> Iterator[tuple[int, str]]:
    """The lines of a text format, numbered from 1, without their ends; blank ones are left out.

    Raises:
        Defect: A line that is too long or no UTF-8.
    """
    with only_part(document).open() as stream:
        number = 0
        while line := stream.readline(limits.line_bytes):
            number += 1
            if len(line) == limits.line_bytes and not line.endswith(b"\n"):
                raise Defect(number, f"a line of more than {limits.line_bytes} bytes")
            text = _decoded(line, number).strip("\r\n")
            if text.strip():
                yield number, text


def comma_fields(text: str, line: int) -> list[str]:
    """The fields of one line of CSV (RFC 4180); a field never goes on in the next line.

    Raises:
        Defect: Quotes that do not match.
    """
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise Defect(line, f"not CSV: {error}") from None


def _decoded(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise Defect(number, f"not UTF-8 at byte {error.start} of the line") from None
