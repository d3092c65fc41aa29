"""Atom entries, of which Green Button feeds are made (RFC 4287, NAESB ESPI 4.0)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from utility_adapter.sources.amounts import parse_integer
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.source import Document, Limits
from utility_adapter.sources.times import parse_time
from utility_adapter.sources.xml_stream import (
    Element,
    child,
    children,
    elements,
    line_of,
    local_name,
    namespace,
    text_of,
)

ATOM = "http://www.w3.org/2005/Atom"
ESPI = "http://naesb.org/espi"
CUSTOMER = "http://naesb.org/espi/customer"


@dataclass(frozen=True, slots=True)
class Entry:
    """An Atom entry.

    Args:
        self_path: Its address without scheme and host.
        up_path: The collection it is in.
        related: Addresses it refers to.
        updated_s: Last change, seconds since 1970 UTC; None when not told.
        resources: What its content holds.
        line: Where it begins.
    """

    self_path: str
    up_path: str
    related: tuple[str, ...]
    updated_s: int | None
    resources: tuple[Element, ...]
    line: int

    @property
    def parent_path(self) -> str:
        """The address of what the entry's collection belongs to."""
        return self.up_path.rpartition("/")[0]


def path_of(href: str) -> str:
    """An address without scheme, host, query and outer slashes, so that two ways to write it meet.

    Raises:
        ValueError: It is no address.
    """
    return urlsplit(href.strip()).path.strip("/")


def entries(document: Document, limits: Limits) -> Iterator[Entry]:
    """The entries of all pages, in order.

    Raises:
        Defect: Not well-formed, or a page that is no Atom.
    """
    for part in document.parts:
        found = elements(part.open, tags=("entry", "feed"), release=("entry",), limits=limits)
        last: Element | None = None
        for last in found:
            if namespace(last) != ATOM:
                raise Defect(line_of(last), f"no Atom: {local_name(last)}")
            if local_name(last) == "entry":
                yield _entry(last)
        if last is None:
            raise Defect(None, "no Atom feed")


def _entry(element: Element) -> Entry:
    links: dict[str, list[str]] = {"self": [], "up": [], "related": []}
    try:
        for link in children(element, "link"):
            links.setdefault(link.get("rel") or "", []).append(path_of(link.get("href") or ""))
    except ValueError as error:
        raise Defect(line_of(element), f"no address: {error}") from None
    return Entry(
        self_path=next(iter(links["self"]), ""),
        up_path=next(iter(links["up"]), ""),
        related=tuple(links["related"]),
        updated_s=_updated(element),
        resources=tuple(
            resource
            for content in children(element, "content")
            for resource in content
            if namespace(resource) in (ESPI, CUSTOMER)
        ),
        line=line_of(element),
    )


def _updated(element: Element) -> int | None:
    text = text_of(element, "updated")
    if text is None:
        return None
    try:
        return parse_time(_without_fraction(text))
    except (ValueError, OverflowError) as error:
        raise Defect(line_of(element), f"updated: {error}") from None


def _without_fraction(text: str) -> str:
    whole, _, fraction = text.partition(".")
    return whole + fraction.lstrip("0123456789")


def number(element: Element, name: str) -> int | None:
    """The whole number that a child holds; None when it is absent.

    Raises:
        Defect: It holds something else.
    """
    found = child(element, name)
    if found is None:
        return None
    try:
        return parse_integer(found.text)
    except ValueError as error:
        raise Defect(line_of(found), f"{name}: {error}") from None
