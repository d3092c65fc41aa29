"""Writes a bundle and verifies it before anyone else does."""

from __future__ import annotations

from pathlib import Path

from gridcord.evidence.bundle_archive import BundleFault, Manifest
from gridcord.evidence.bundle_check import verify
from gridcord.evidence.bundle_report import Trust
from gridcord.evidence.bundle_writing import BundleSource, write_bundle
from gridcord.evidence.signature import Signer


class DoesNotVerify(ValueError):
    """What is kept does not follow from its own inputs; names the first record."""


def export_bundle(
    source: BundleSource, path: Path, *, created_s: int, signer: Signer | None = None
) -> Manifest:
    """Write a bundle; it gets its name only when it verifies.

    Args:
        source: Who keeps the records.
        path: The file; replaced.
        created_s: Now, seconds since 1970 UTC.
        signer: The aggregator's key; None to leave it unsigned.

    Raises:
        DoesNotVerify: What is kept does not follow from its own inputs; no file is left.
        OSError: The file cannot be written.
    """
    draft = path.with_name(f"{path.name}.draft")
    try:
        manifest = write_bundle(draft, source, created_s=created_s, signer=signer)
        problem = verify(draft, trust=Trust(root=manifest.root)).problem
        if problem is not None:
            message = f"{path} does not verify: {fault_text(problem)}"
            raise DoesNotVerify(message)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def fault_text(problem: BundleFault) -> str:
    """What is wrong and what it is about, for a person."""
    return f"{problem} [{problem.record}]" if problem.record else str(problem)
