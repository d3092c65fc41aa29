"""The outside of a bundle: a zip of text members whose lines are chained by hashes.

Each line is `<hash> <text>`, where the hash is SHA-256 over the hash of the line before and the
text; the first line follows the hash of the member's name. The manifest names every member with its
number of lines and last hash, and has a hash of its own. So any change to any line, any line lost,
added, doubled or moved shows at the first line that does not follow.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from gridcord.evidence.line_name import line_name
from gridcord.evidence.plain import PlainError, read, write
from gridcord.evidence.signature import SignatureError, Signer, check

FORMAT = "gridcord-evidence/2"
MANIFEST = "manifest.json"
MOST_BYTES_A_LINE = 1024 * 1024
MOST_TIMES_SMALLER = 100
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


class BundleFault(ValueError):
    """What is wrong with a bundle, and where first.

    Args:
        member: Name of the member, or of the archive's part.
        line: Number of the line from 1; 0 when the member itself is meant.
        reason: What is wrong, for a person.
        record: What the line is about, where that is known.
    """

    def __init__(self, member: str, line: int, reason: str, record: str = "") -> None:
        super().__init__(f"{member} line {line}: {reason}" if line else f"{member}: {reason}")
        self.member, self.line, self.reason, self.record = member, line, reason, record


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a bundle is about.

    Args:
        site_ids: These sites; empty for all.
        driver_ids: These drivers; empty for all.
        from_s: Periods that start at or after this, seconds since 1970 UTC.
        to_s: And before this.
        everything: It is about all that the aggregator keeps of that time, the market's money too.
    """

    site_ids: tuple[str, ...] = ()
    driver_ids: tuple[str, ...] = ()
    from_s: int
    to_s: int
    everything: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRoot:
    """A member, its number of lines, and the hash of the last."""

    name: str
    lines: int
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the archive must hold.

    Args:
        format: `FORMAT`.
        created_s: When it was made, seconds since 1970 UTC.
        scope: What it is about.
        members: In the order of the archive.
        root: Hash of everything above.
        algorithm: Of the signature over `root`; empty without one.
        public_key: Hexadecimal DER of the key that signed; empty without one.
        signature: Hexadecimal DER.
    """

    format: str
    created_s: int
    scope: Scope
    members: tuple[MemberRoot, ...]
    root: str = ""
    algorithm: str = ""
    public_key: str = ""
    signature: str = ""


def chain_start(member: str) -> str:
    """The hash that the first line of a member follows."""
    return hashlib.sha256(f"{FORMAT}\n{member}".encode()).hexdigest()


def chained(before: str, text: str) -> str:
    """The hash of a line that follows the one whose hash is `before`."""
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def sealed(manifest: Manifest, signer: Signer | None = None) -> Manifest:
    """A manifest with its hash and, if somebody signs, the signature over it."""
    bare = replace(manifest, root="", algorithm="", public_key="", signature="")
    rooted = replace(bare, root=hashlib.sha256(write(bare).encode()).hexdigest())
    if signer is None:
        return rooted
    return replace(
        rooted,
        algorithm=signer.algorithm,
        public_key=signer.public_key_der.hex(),
        signature=signer.sign(rooted.root.encode()).hex(),
    )


class BundleWriter:
    """Writes a bundle member by member, line by line, in constant memory.

    The file appears under its name when it is whole, not before.

    Args:
        path: The file; replaced.
        scope: What the bundle is about.
        created_s: Now, seconds since 1970 UTC.
        signer: Signs the manifest; None to leave it unsigned.
    """

    def __init__(
        self, path: Path, *, scope: Scope, created_s: int, signer: Signer | None = None
    ) -> None:
        self._path, self._part = path, path.with_name(f"{path.name}.part")
        self._zip = zipfile.ZipFile(self._part, "w", zipfile.ZIP_DEFLATED)
        self._scope, self._created_s, self._signer = scope, created_s, signer
        self._members: list[MemberRoot] = []

    def add(self, member: str, texts: Iterable[str]) -> None:
        """Write a whole member; each text is one line."""
        before, count = chain_start(member), 0
        with self._zip.open(_info(f"{member}.jsonl"), "w", force_zip64=True) as file:
            for text in texts:
                before, count = chained(before, text), count + 1
                file.write(f"{before} {text}\n".encode())
        self._members.append(MemberRoot(name=member, lines=count, root=before))

    def close(self) -> Manifest:
        """Write the manifest, end the file and give it its name."""
        manifest = Manifest(
            format=FORMAT,
            created_s=self._created_s,
            scope=self._scope,
            members=tuple(self._members),
        )
        manifest = sealed(manifest, self._signer)
        self._zip.writestr(_info(MANIFEST), write(manifest))
        self._zip.close()
        self._part.replace(self._path)
        return manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind unless the bundle was closed."""
        self._zip.close()
        self._part.unlink(missing_ok=True)


class BundleReader:
    """Reads a bundle and believes nothing in it.

    Args:
        path: The file.
        members: The members a bundle has, in order.

    Raises:
        BundleFault: No bundle, or a manifest that does not fit itself or its archive.
        OSError: The file cannot be read.
    """

    def __init__(self, path: Path, members: tuple[str, ...]) -> None:
        self._file = path.open("rb")
        try:
            with _readable("archive"):
                self._zip = zipfile.ZipFile(self._file)
                self.manifest = self._checked_manifest(members)
        except BundleFault:
            self._file.close()
            raise

    def lines(self, member: str) -> Iterator[tuple[int, str]]:
        """Number and text of each line; each follows the one before it.

        Raises:
            BundleFault: The first line that does not, or is missing, or is one too many.
        """
        root = next(each for each in self.manifest.members if each.name == member)
        before, above, number = chain_start(member), "", 0
        for number, line in enumerate(self._raw(member), 1):
            stated, _, text = line.partition(" ")
            if number > root.lines:
                reason = f"is one too many: {root.lines} lines were written"
                raise BundleFault(member, number, reason, line_name(text))
            before = chained(before, text)
            if stated != before:
                raise BundleFault(member, number, _broken(above, text), line_name(text))
            above = text
            yield number, text
        if number != root.lines:
            reason = f"is missing: {root.lines} lines were written"
            raise BundleFault(member, number + 1, reason, _after(above))
        if before != root.root:
            raise BundleFault(member, 0, "its last hash is not the one in the manifest")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _raw(self, member: str) -> Iterator[str]:
        number = 0
        with _readable(member), self._zip.open(f"{member}.jsonl") as file:
            while line := file.readline(MOST_BYTES_A_LINE):
                number += 1
                if not line.endswith(b"\n"):
                    raise BundleFault(member, number, "does not end, or is too long")
                yield line[:-1].decode(errors="replace")

    def _checked_manifest(self, members: tuple[str, ...]) -> Manifest:
        _check_size(self._zip.infolist(), self._file.seek(0, os.SEEK_END))
        names = self._zip.namelist()
        if sorted(names) != sorted([*(f"{each}.jsonl" for each in members), MANIFEST]):
            odd = sorted(set(names) ^ {*(f"{each}.jsonl" for each in members), MANIFEST})
            raise BundleFault("archive", 0, f"members missing, unknown or doubled: {odd[:5]}")
        try:
            with self._zip.open(MANIFEST) as file:
                manifest = read(Manifest, file.read(MOST_BYTES_A_LINE).decode())
        except (PlainError, UnicodeDecodeError) as failure:
            raise BundleFault("manifest", 0, str(failure)) from None
        if manifest.format != FORMAT:
            raise BundleFault("manifest", 0, f"format {manifest.format!r:.40}, not {FORMAT}")
        if tuple(each.name for each in manifest.members) != members:
            raise BundleFault("manifest", 0, "it does not name the members in order")
        if sealed(manifest).root != manifest.root:
            raise BundleFault("manifest", 0, "its hash does not fit")
        _check_signature(manifest)
        return manifest


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _check_size(members: Iterable[zipfile.ZipInfo], file_bytes: int) -> None:
    """Refuse an archive made to fill its reader's time or memory.

    Each line begins with 32 bytes of hash, which do not compress: no genuine member shrinks so far.
    """
    packed = 0
    for each in members:
        packed += each.compress_size
        if each.file_size > MOST_TIMES_SMALLER * each.compress_size + MOST_BYTES_A_LINE:
            reason = f"{each.filename} would unpack to {each.file_size:,} bytes: no bundle does"
            raise BundleFault("archive", 0, reason)
    if packed > file_bytes:
        raise BundleFault("archive", 0, "its members lie on top of each other")


@contextmanager
def _readable(member: str) -> Iterator[None]:
    """Turn whatever a damaged archive provokes in the zip reader into a BundleFault."""
    try:
        yield
    except BundleFault:
        raise
    except _DAMAGE as failure:
        raise BundleFault(member, 0, f"cannot be read: {failure}") from None


def _broken(above: str, text: str) -> str:
    if text == above:
        return "is the line before it once more"
    return f"was changed, moved, or a line is missing before it: {_after(above)} another line stood"


def _after(above: str) -> str:
    return f"after {line_name(above)}" if above else "at the begin"


def _check_signature(manifest: Manifest) -> None:
    if not (manifest.algorithm or manifest.public_key or manifest.signature):
        return
    try:
        check(
            message=manifest.root.encode(),
            signature=bytes.fromhex(manifest.signature),
            public_key=bytes.fromhex(manifest.public_key),
            algorithm=manifest.algorithm,
        )
    except (SignatureError, ValueError) as failure:
        raise BundleFault("manifest", 0, f"its signature does not fit: {failure}") from None
