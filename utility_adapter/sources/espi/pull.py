"""Pulling Green Button data from a utility's server (NAESB ESPI 4.0, Connect My Data).

We are the third party: a token by OAuth 2.0 client credentials (RFC 6749, 4.4), then
`Batch/Subscription/<id>`, page by page along the feed's `next` links, which may lead nowhere but
to the same server. A pull is imported as a whole or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urljoin, urlsplit

import httpx

from utility_adapter.sources.defect import Defect, FileRefused
from utility_adapter.sources.delivery import Delivery
from utility_adapter.sources.document import open_document
from utility_adapter.sources.espi.token import TokenStore
from utility_adapter.sources.formats import read_document
from utility_adapter.sources.pull import NotReady, PullFailed, retry_after_s
from utility_adapter.sources.source import Document, Format, Limits, ReadOptions
from utility_adapter.sources.times import format_time
from utility_adapter.sources.xml_stream import elements, local_name

_MAX_PAGES = 10_000
_OK, _ACCEPTED, _NOT_MODIFIED, _UNAUTHORIZED = 200, 202, 304, 401
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EspiSubscription:
    """What we may read of a utility's server, and who we are to it.

    Args:
        resource_url: Root of its resources, ending in `/espi/1_1/resource`.
        token_url: Where it gives tokens.
        client_id: Our name.
        client_secret: Our secret, never shown by `repr`.
        subscription_id: What we may read.
        scope: What the authorization covers, such as `FB=4_5_15;IntervalDuration=1800`.
        page_entries: Entries wanted on a page; None for the server's choice.
    """

    resource_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    subscription_id: str
    scope: str = ""
    page_entries: int | None = None

    @property
    def batch_url(self) -> str:
        """Everything of the subscription."""
        root = self.resource_url.rstrip("/")
        return f"{root}/Batch/Subscription/{self.subscription_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCursor:
    """What the last answer was known by, to be given back so that nothing is sent twice.

    Args:
        etag: Its entity tag; empty when it had none.
        last_modified: Its time of change, as the server wrote it; empty when it had none.
    """

    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        """Request headers that ask for anything newer only."""
        told = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class _Page:
    path: Path
    next_url: str | None
    cursor: PullCursor


class EspiPull:
    """Pulls one subscription.

    Args:
        subscription: Whose server, and who we are to it.
        http: A client; it is not closed here. Redirects are not followed.
        monotonic: Seconds of a clock that never steps, for the age of tokens.
        cursor: Where the last pull ended.
    """

    def __init__(
        self,
        subscription: EspiSubscription,
        http: httpx.AsyncClient,
        *,
        monotonic: Callable[[], float],
        cursor: PullCursor | None = None,
    ) -> None:
        self._subscription = subscription
        self._http = http
        self._tokens = TokenStore(subscription, http, monotonic)
        self.cursor = cursor or PullCursor()

    async def fetch(
        self, options: ReadOptions, *, published_min_s: int | None = None
    ) -> Delivery | None:
        """Ask for everything new.

        Afterwards `cursor` stands for what was got; it is to be stored once the delivery is.

        Args:
            options: As for a file.
            published_min_s: Only values published since then, seconds since 1970 UTC.

        Returns:
            The delivery; None when nothing changed.

        Raises:
            NotReady: The server prepares it; to be asked again later.
            PullFailed: It could not be reached, or said no.
            FileRefused: What it sent is broken, endless or too big; the cursor stays.
        """
        with TemporaryDirectory(prefix="espi-") as folder:
            pages = await self._pages(Path(folder), options.limits, published_min_s)
            if not pages:
                return None
            delivery = await asyncio.to_thread(self._read, pages, options)
            self.cursor = pages[0].cursor
            return delivery

    def _read(self, pages: list[_Page], options: ReadOptions) -> Delivery:
        try:
            parts = [open_document(page.path, options.limits).parts[0] for page in pages]
        except Defect as defect:
            raise self._refused(defect) from None
        document = Document(name=self._subscription.batch_url, parts=tuple(parts))
        return read_document(document, options, Format.ESPI)

    async def _pages(
        self, folder: Path, limits: Limits, published_min_s: int | None
    ) -> list[_Page]:
        pages: list[_Page] = []
        url: str | None = self._first_url(published_min_s)
        left = limits.file_bytes
        visited: set[str] = set()
        while url is not None:
            if url in visited or len(pages) == _MAX_PAGES:
                raise self._refused(Defect(None, f"pages without end: {url}"))
            visited.add(url)
            path = folder / f"{len(pages)}.xml"
            page = await self._page(url, path, replace(limits, file_bytes=left), not pages)
            if page is None:
                return []
            left -= path.stat().st_size
            pages.append(page)
            url = page.next_url
        return pages

    def _first_url(self, published_min_s: int | None) -> str:
        wanted: dict[str, str | int | None] = {
            "max-results": self._subscription.page_entries,
            "published-min": None if published_min_s is None else format_time(published_min_s),
        }
        told = {name: value for name, value in wanted.items() if value is not None}
        return str(httpx.URL(self._subscription.batch_url, params=told or None))

    async def _page(self, url: str, path: Path, limits: Limits, first: bool) -> _Page | None:
        conditions = self.cursor.headers() if first else {}
        for attempt in (1, 2):
            async with self._get(url, conditions) as response:
                if response.status_code == _UNAUTHORIZED and attempt == 1:
                    self._tokens.forget()  # it was withdrawn before its time
                    continue
                if response.status_code == _NOT_MODIFIED and first:
                    return None
                _check(response)
                await self._save(response, path, limits)
                cursor = PullCursor(
                    etag=response.headers.get("ETag", ""),
                    last_modified=response.headers.get("Last-Modified", ""),
                )
            next_url = await asyncio.to_thread(self._next_url, url, path, limits)
            return _Page(path, next_url, cursor)
        raise AssertionError  # the second attempt returns or raises

    @asynccontextmanager
    async def _get(self, url: str, conditions: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        headers = {
            "Authorization": f"Bearer {await self._tokens.token()}",
            "Accept": "application/atom+xml",
            "Accept-Encoding": "identity",  # what is sent is what is counted
            **conditions,
        }
        try:
            async with self._http.stream(
                "GET", url, headers=headers, follow_redirects=False, timeout=_TIMEOUT_S
            ) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PullFailed(f"{url}: {type(error).__name__}: {error}") from error

    async def _save(self, response: httpx.Response, path: Path, limits: Limits) -> None:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self._refused(Defect(None, "an encoding that was not asked for"))
        size = 0
        with path.open("wb") as out:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > limits.file_bytes:
                    raise self._refused(Defect(None, "more bytes than a delivery may have"))
                out.write(chunk)

    def _next_url(self, url: str, path: Path, limits: Limits) -> str | None:
        """The page's `next` link, if it leads below the server's resources."""
        try:
            [part] = open_document(path, limits).parts
            found = elements(part.open, tags=("link", "entry"), release=("entry",), limits=limits)
            for link in found:
                parent = link.getparent()
                at_feed = parent is not None and local_name(parent) == "feed"
                if at_feed and local_name(link) == "link" and link.get("rel") == "next":
                    return self._allowed(urljoin(url, link.get("href") or ""))
        except Defect as defect:
            raise self._refused(defect) from None
        return None

    def _allowed(self, url: str) -> str:
        ours, theirs = urlsplit(self._subscription.resource_url), urlsplit(url)
        same = (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)
        if not same or not theirs.path.startswith(ours.path.rstrip("/") + "/"):
            raise Defect(None, f"the next page is elsewhere: {url[:200]}")
        return url

    def _refused(self, defect: Defect) -> FileRefused:
        name = self._subscription.batch_url
        return FileRefused(file=name, line=defect.line, reason=defect.reason)


def _check(response: httpx.Response) -> None:
    """Raise unless the answer is a page."""
    if response.status_code == _ACCEPTED:
        raise NotReady(retry_after_s(response))
    if response.status_code != _OK:
        message = f"{response.url}: answer {response.status_code}"
        raise PullFailed(message, retry_after_s=retry_after_s(response))
