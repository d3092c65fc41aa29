"""Writes a bundle from whoever keeps the records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from gridcord.evidence.bundle_archive import BundleWriter, Manifest, Scope
from gridcord.evidence.bundle_lines import DERIVED, INPUTS
from gridcord.evidence.plain import write
from gridcord.evidence.signature import Signer


class BundleSource(Protocol):
    """Who keeps the records: the manager's store, or a test.

    To be reproducible a source must include, for every record in scope, all records of the same
    cable and period and of the same site and period; where those are nobody's business it must
    leave the half hour out. Entries of a journal that are not shown are given by their digest.
    """

    @property
    def scope(self) -> Scope:
        """What the bundle is about."""
        ...

    def lines(self, member: str) -> Iterable[object]:
        """The lines of a member of `bundle_lines.INPUTS` or `DERIVED`, of the type given there.

        Entries come by cable, epoch and sequence; sites, tariffs and consents by name; readings,
        verdicts, market results and payouts by number; what is derived in the order of
        `gridcord.evidence.derivation`. What is derived is what was stored and paid, not what a
        new computation gives.
        """
        ...


def write_bundle(
    path: Path, source: BundleSource, *, created_s: int, signer: Signer | None = None
) -> Manifest:
    """Write a bundle.

    Args:
        path: The file; replaced.
        source: Where the lines come from; read once, member by member.
        created_s: Now, seconds since 1970 UTC.
        signer: The aggregator's key; None to leave the manifest unsigned.

    Raises:
        TypeError: A line is of another type than its member.
    """
    kinds = INPUTS | DERIVED
    with BundleWriter(path, scope=source.scope, created_s=created_s, signer=signer) as bundle:
        for member, kind in kinds.items():
            bundle.add(member, _texts(source.lines(member), member, kind))
        return bundle.close()


def _texts(lines: Iterable[object], member: str, kind: type) -> Iterator[str]:
    for line in lines:
        if type(line) is not kind:
            message = f"{member} holds {kind.__name__}, not {type(line).__name__}"
            raise TypeError(message)
        yield write(line)


class MemorySource:
    """A source that has everything at hand.

    Args:
        scope: What the bundle is about.
        lines: By member; members that are not named are empty.
    """

    def __init__(self, scope: Scope, lines: Mapping[str, Iterable[object]]) -> None:
        self.scope = scope
        self._lines = lines

    def lines(self, member: str) -> Iterable[object]:
        """The lines of a member."""
        return self._lines.get(member, ())
