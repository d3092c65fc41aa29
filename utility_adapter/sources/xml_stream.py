"""Reading XML of others in bounded memory, with nothing in it obeyed.

No document type is accepted, so no entity exists; nothing is fetched; an element that never ends
is refused before it fills the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from typing import Any, BinaryIO, TypeAlias

from lxml import etree
from lxml.etree import _Element

from utility_adapter.sources.defect import Defect
from utility_adapter.sources.source import Limits

_CHUNK_BYTES = 1 << 16
Element: TypeAlias = _Element  # lxml names no public type for it
_DOCUMENT_TYPE = "a document type is not accepted"


def local_name(element: Element) -> str:
    """The name of an element without its namespace."""
    return _local(str(element.tag))


@lru_cache(maxsize=1024)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def namespace(element: Element) -> str:
    """The namespace of an element; empty without one."""
    return str(element.tag).rpartition("}")[0].lstrip("{")


def line_of(element: Element) -> int:
    """The line an element begins on."""
    line: Any = element.sourceline  # its stub says nothing
    return int(line or 1)


def child(element: Element, name: str) -> Element | None:
    """The first child of a local name."""
    for found in element:
        if local_name(found) == name:
            return found
    return None


def children(element: Element, name: str) -> Iterator[Element]:
    """The children of a local name."""
    return (found for found in element if local_name(found) == name)


def text_of(element: Element, name: str) -> str | None:
    """The text of the first child of a local name, stripped; None when absent or empty."""
    found = child(element, name)
    return (found.text or "").strip() or None if found is not None else None


def required_text(element: Element, name: str) -> str:
    """The text of a child.

    Raises:
        Defect: It is absent or empty.
    """
    text = text_of(element, name)
    if text is None:
        raise Defect(line_of(element), f"{local_name(element)} without {name}")
    return text


def elements(
    open_stream: Callable[[], BinaryIO],
    *,
    tags: Collection[str],
    release: Collection[str],
    limits: Limits,
) -> Iterator[Element]:
    """Elements of some local names, each when it has ended, in order of their ends.

    Args:
        open_stream: Gives the bytes.
        tags: Local names wanted, of any namespace.
        release: Those of them whose content, and all before them, may be forgotten afterwards.
        limits: How long one element may be.

    Raises:
        Defect: Not well-formed, with a document type, or an element beyond the limit.
    """
    with open_stream() as stream:
        yield from _Parser(tags, release, limits).run(stream)


class _Parser:
    def __init__(self, tags: Collection[str], release: Collection[str], limits: Limits) -> None:
        self._release = frozenset(release)
        self._limit_bytes = limits.element_bytes
        self._held_bytes = 0
        self._checked = False
        self._parser = etree.XMLPullParser(
            events=("end",),
            tag=[f"{{*}}{name}" for name in tags],
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )

    def run(self, stream: BinaryIO) -> Iterator[Element]:
        chunk = stream.read(_CHUNK_BYTES)
        refuse_document_type(chunk)
        while chunk:
            self._feed(chunk)
            yield from self._ended()
            chunk = stream.read(_CHUNK_BYTES)
        root = self._close()
        yield from self._ended()
        self._without_document_type(root)

    def _feed(self, chunk: bytes) -> None:
        self._held_bytes += len(chunk)
        if self._held_bytes > self._limit_bytes + _CHUNK_BYTES:
            reason = f"no record ends within {self._limit_bytes} bytes"
            raise Defect(None, reason)
        try:
            self._parser.feed(chunk)
        except etree.XMLSyntaxError as error:
            raise _not_well_formed(error) from None

    def _close(self) -> Element:
        try:
            return self._parser.close()
        except etree.XMLSyntaxError as error:
            raise _not_well_formed(error) from None

    def _without_document_type(self, element: Element) -> Element:
        if not self._checked and element.getroottree().docinfo.internalDTD is not None:
            raise Defect(None, _DOCUMENT_TYPE)
        self._checked = True
        return element

    def _ended(self) -> Iterator[Element]:
        try:
            for _, element in self._parser.read_events():
                assert isinstance(element, Element)  # only ends are asked for
                yield self._without_document_type(element)
                if local_name(element) in self._release:
                    _forget(element)
                    self._held_bytes = 0
        except etree.XMLSyntaxError as error:
            raise _not_well_formed(error) from None


def _not_well_formed(error: etree.XMLSyntaxError) -> Defect:
    return Defect(error.lineno or None, f"not well-formed XML: {error.msg}")


def refuse_document_type(chunk: bytes) -> None:
    """Refuse before libxml2 sees a declaration, in any encoding of one or two bytes.

    Raises:
        Defect: The beginning of a file declares a document type.
    """
    if b"<!DOCTYPE" in chunk.replace(b"\0", b""):
        raise Defect(None, _DOCUMENT_TYPE)


def _forget(element: Element) -> None:
    parent = element.getparent()
    element.clear()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]
