"""Who may still talk to us: expiry and the deny list, for calls that are already open too.

TLS looks at a certificate once, when a connection is made; connections and streams outlive
certificates. `Admission` looks again whenever its deny list or the time changes.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import grpc
import structlog

from gridcord.chassis.clock import Clock
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import IdentityError, Peer, parse_principal

CERTIFICATE_EXPIRED = "CERTIFICATE_EXPIRED"
CERTIFICATE_REVOKED = "CERTIFICATE_REVOKED"
FOREIGN_DOMAIN = "FOREIGN_DOMAIN"

_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_SERIAL = re.compile(r"serial:[0-9a-f]{1,40}")

log = structlog.get_logger()


class DenyListError(ValueError):
    """A deny list cannot be read or has a line that means nothing."""


@dataclass(frozen=True, slots=True)
class DenyList:
    """Peers that are refused whatever their certificate says.

    Args:
        entries: SPIFFE ids, `serial:<hex>` and `sha256:<hex>`, lower case.
    """

    entries: frozenset[str] = frozenset()

    def denies(self, peer: Peer) -> bool:
        """Whether the peer's id, serial number or fingerprint is listed."""
        names = (str(peer.principal), f"serial:{peer.serial}", f"sha256:{peer.fingerprint}")
        return not self.entries.isdisjoint(names)


def parse_deny_list(text: str) -> DenyList:
    """Read a deny list: one entry a line, `#` starts a comment.

    Raises:
        DenyListError: A line is none of the three kinds of entry; nothing is skipped silently,
            because a misspelt line would leave its peer admitted.
    """
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line]
    return DenyList(frozenset(_entry(number, line) for number, line in numbered))


def read_deny_list(path: Path) -> DenyList:
    """Read a deny list file.

    Raises:
        DenyListError: It cannot be read, or a line means nothing.
    """
    try:
        return parse_deny_list(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the deny list {path}: {error}"
        raise DenyListError(message) from error


def _entry(number: int, line: str) -> str:
    if _FINGERPRINT.fullmatch(line) or _SERIAL.fullmatch(line):
        return line
    try:
        return str(parse_principal(line))
    except IdentityError as error:
        message = f"line {number}: neither a SPIFFE id, serial:<hex> nor sha256:<hex>: {line!r}"
        raise DenyListError(message) from error


class Reviewed(Protocol):
    """Calls that can be ended when their peer is refused."""

    def review(self, admission: Admission) -> None:
        """End every open call whose peer `admission` refuses now."""
        ...


class Admission:
    """Decides whether a peer may talk to us now.

    Args:
        domain: Our trust domain; peers of another are refused.
        clock: Says what has expired.
        deny_list: File of refused peers; None for none.
        interval_s: How often `run` looks at the file and the open calls. Revocation and expiry
            act on live streams within this time.

    Raises:
        DenyListError: The file cannot be read at start.
    """

    def __init__(
        self, *, domain: str, clock: Clock, deny_list: Path | None = None, interval_s: float = 2.0
    ) -> None:
        self._domain = domain
        self._clock = clock
        self._path = deny_list
        self._interval_s = interval_s
        self._reviewed: list[Reviewed] = []
        self._stamp = self._look()
        self._denied = read_deny_list(deny_list) if deny_list else DenyList()

    def refusal(self, peer: Peer) -> Failure | None:
        """Why the peer is refused now, None when it is admitted."""
        if peer.principal.domain != self._domain:
            return _refusal(FOREIGN_DOMAIN, f"this system is {self._domain}")
        if peer.not_after_s <= self._clock.now():
            return _refusal(CERTIFICATE_EXPIRED, "the certificate has expired: renew it")
        if self._denied.denies(peer):
            return _refusal(CERTIFICATE_REVOKED, "the certificate has been revoked")
        return None

    def require(self, peer: Peer) -> None:
        """Check a peer, for instance before a batch of a long stream.

        Raises:
            Failure: UNAUTHENTICATED, with the reason.
        """
        if (failure := self.refusal(peer)) is not None:
            raise failure

    def watch(self, calls: Reviewed) -> None:
        """Have `calls` reviewed from now on."""
        self._reviewed.append(calls)

    async def run(self) -> None:
        """Look at the file and at every open call again and again, until cancelled."""
        while True:
            await self._clock.sleep(self._interval_s)
            self.refresh()

    def refresh(self) -> None:
        """Reload the deny list if it changed and end calls of peers that are refused now.

        A file that cannot be read leaves the previous list in force and is logged.
        """
        if (stamp := self._look()) != self._stamp:
            self._reload(stamp)
        for calls in self._reviewed:
            calls.review(self)

    def _reload(self, stamp: tuple[int, ...]) -> None:
        assert self._path is not None
        try:
            self._denied = read_deny_list(self._path)
        except DenyListError as error:
            log.error("deny_list.refused", path=str(self._path), error=str(error))
            return
        self._stamp = stamp
        log.info("deny_list.loaded", path=str(self._path), entries=len(self._denied.entries))

    def _look(self) -> tuple[int, ...]:
        """What changes when the file does."""
        try:
            found = os.stat(self._path) if self._path else None  # noqa: PTH116
        except OSError:
            return (-1,)
        return (found.st_ino, found.st_size, found.st_mtime_ns) if found else ()


def _refusal(reason: str, message: str) -> Failure:
    return Failure(grpc.StatusCode.UNAUTHENTICATED, reason, message)
