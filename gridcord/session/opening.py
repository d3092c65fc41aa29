"""Whether and how the manager opens a cable's session, and what it keeps of the cable.

Pure. What the manager keeps is the `CableCursor`: the fence of the newest session and, for each
journal the cable ever had (a lineage), the last entry stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

# Fences and sequence numbers stay far below 2**63, so that nothing added to them can overflow.
_HIGHEST = 2**62


class HelloRefused(ValueError):
    """A hello that no honest cable sends: INVALID_ARGUMENT (HELLO_INVALID)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CableHello:
    """What a hello tells about the journal.

    Args:
        journal_epoch: Made at random with the journal file.
        oldest_retained: Oldest entry the journal holds; next_sequence when it is empty.
        next_sequence: The number its next entry will get.
        last_fence: Highest fence the cable ever saw, 0 for none.
        boot_id: Of the cable's boot; empty when it does not tell.

    Raises:
        HelloRefused: Not 1 <= oldest_retained <= next_sequence, or numbers near overflow.
    """

    journal_epoch: int
    oldest_retained: int
    next_sequence: int
    last_fence: int
    boot_id: str = ""

    def __post_init__(self) -> None:
        ordered = 1 <= self.oldest_retained <= self.next_sequence < _HIGHEST
        if not ordered or not 0 <= self.last_fence < _HIGHEST:
            message = (
                f"no journal holds {self.oldest_retained} to {self.next_sequence - 1}"
                f" under fence {self.last_fence}"
            )
            raise HelloRefused(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """One journal of a cable.

    Args:
        journal_epoch: Its name.
        committed_sequence: Last entry stored (or declared lost), 0 for none.
    """

    journal_epoch: int
    committed_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CableCursor:
    """What the manager durably knows of a cable's sessions.

    Args:
        fence: Of the newest session, 0 before the first; only rises.
        lineages: All journals ever seen; the last is the one in use.
        boot_id: Of the newest session.
        takeovers_s: Instants at which another boot took over a live session, rising.
        clone_suspected: A human must look; until then no discharge.
    """

    fence: int = 0
    lineages: tuple[Lineage, ...] = ()
    boot_id: str = ""
    takeovers_s: tuple[float, ...] = ()
    clone_suspected: bool = False

    def committed(self, *, journal_epoch: int) -> int | None:
        """Last entry stored of a lineage; None when it was never seen."""
        for lineage in self.lineages:
            if lineage.journal_epoch == journal_epoch:
                return lineage.committed_sequence
        return None


class Finding(StrEnum):
    """What is worth a line in the audit log when a session opens."""

    TOOK_OVER = "TOOK_OVER"  # another boot replaces a session that was still alive
    LINEAGE_REPLACED = "LINEAGE_REPLACED"  # the cable has another journal than before
    LINEAGE_RETURNED = "LINEAGE_RETURNED"  # an old journal is back: two devices, one key
    CLONE_SUSPECTED = "CLONE_SUSPECTED"  # discharge is refused from now on
    SEQUENCE_REGRESSED = "SEQUENCE_REGRESSED"  # an older image of the flash was put back
    ENTRIES_LOST = "ENTRIES_LOST"  # the cable no longer holds what the manager lacks
    FENCE_REGRESSED = "FENCE_REGRESSED"  # the manager was restored from a backup


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverPolicy:
    """When take-overs look like two devices with one key (design against session shadowing).

    Args:
        most: Take-overs tolerated.
        within_s: In this time, seconds.
    """

    most: int = 3
    within_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A session to be opened.

    Args:
        cursor: To be stored before the welcome is sent.
        fence: Of the session.
        committed_sequence: For the welcome.
        findings: For the audit log.
    """

    cursor: CableCursor
    fence: int
    committed_sequence: int
    findings: tuple[Finding, ...]


def next_fence(*, stored: int, last_seen: int) -> int:
    """The fence of a new session, of a cable or a resource: above all that either side knows.

    Args:
        stored: Of the newest session the manager knows; too low after a restore from a backup.
        last_seen: Of the newest session the device knows.
    """
    return max(stored, last_seen) + 1


def open_session(
    *,
    cursor: CableCursor,
    hello: CableHello,
    previous_alive: bool,
    now_s: float,
    policy: TakeoverPolicy | None = None,
) -> Opening:
    """Open a session; the newest proven one wins and fences off all before it.

    Args:
        cursor: As stored; `CableCursor()` for a cable never seen.
        hello: What the cable says.
        previous_alive: A session of this cable is open somewhere and is being ended by this one.
            The same boot coming back is a link that broke, and counts for nothing.
        now_s: The manager's clock.
        policy: Which take-overs are too many.
    """
    policy = policy or TakeoverPolicy()
    findings: list[Finding] = []
    fence = next_fence(stored=cursor.fence, last_seen=hello.last_fence)
    if hello.last_fence > cursor.fence:
        findings.append(Finding.FENCE_REGRESSED)
    takeovers_s = _takeovers(cursor, hello, now_s if previous_alive else None, policy)
    if takeovers_s[-1:] != cursor.takeovers_s[-1:]:
        findings.append(Finding.TOOK_OVER)
    lineages, returned = _lineages(cursor, hello, findings)
    suspicious = returned or len(takeovers_s) > policy.most
    if suspicious and not cursor.clone_suspected:
        findings.append(Finding.CLONE_SUSPECTED)
    committed = lineages[-1].committed_sequence
    if hello.next_sequence <= committed:
        findings.append(Finding.SEQUENCE_REGRESSED)
    if hello.oldest_retained > committed + 1:
        findings.append(Finding.ENTRIES_LOST)
    opened = CableCursor(
        fence=fence,
        lineages=lineages,
        boot_id=hello.boot_id,
        takeovers_s=takeovers_s,
        clone_suspected=cursor.clone_suspected or suspicious,
    )
    return Opening(
        cursor=opened, fence=fence, committed_sequence=committed, findings=tuple(findings)
    )


def clear_clone_suspicion(*, cursor: CableCursor) -> CableCursor:
    """A human looked and found one device; the counting starts anew."""
    return replace(cursor, clone_suspected=False, takeovers_s=())


def _takeovers(
    cursor: CableCursor, hello: CableHello, at_s: float | None, policy: TakeoverPolicy
) -> tuple[float, ...]:
    if at_s is None or (hello.boot_id and hello.boot_id == cursor.boot_id):
        return cursor.takeovers_s
    recent = tuple(t for t in cursor.takeovers_s if t > at_s - policy.within_s)
    return (*recent, at_s)


def _lineages(
    cursor: CableCursor, hello: CableHello, findings: list[Finding]
) -> tuple[tuple[Lineage, ...], bool]:
    """The lineages with the hello's last, and whether it is an old one that returned."""
    others = tuple(x for x in cursor.lineages if x.journal_epoch != hello.journal_epoch)
    known = cursor.committed(journal_epoch=hello.journal_epoch)
    current = Lineage(journal_epoch=hello.journal_epoch, committed_sequence=known or 0)
    if known is None:
        if others:
            findings.append(Finding.LINEAGE_REPLACED)
        return (*others, current), False
    returned = cursor.lineages[-1].journal_epoch != hello.journal_epoch
    if returned:
        findings.append(Finding.LINEAGE_RETURNED)
    return (*others, current), returned
