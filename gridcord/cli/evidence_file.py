"""A bundle that a manager streams, as a file that verifies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from gridcord.api.manager.v1 import evidence_service_pb2 as pb
from gridcord.evidence.bundle import Trust, verify
from gridcord.evidence.bundle_export import DoesNotVerify, fault_text


class IncompleteFile(ValueError):
    """The stream ended before the file did."""


async def received(parts: AsyncIterator[pb.ExportBundleResponse], path: Path) -> None:
    """Write the parts of a bundle; the file gets its name when it is whole and verifies.

    Args:
        parts: In order.
        path: The file; replaced.

    Raises:
        IncompleteFile: Parts are missing.
        DoesNotVerify: What came is not what was announced, or does not follow from itself.
        OSError: It cannot be written.
    """
    draft = path.with_name(f"{path.name}.draft")
    try:
        root = await _written(parts, draft)
        problem = verify(draft, trust=Trust(root=root)).problem
        if problem is not None:
            message = f"what came does not verify: {fault_text(problem)}"
            raise DoesNotVerify(message)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


async def _written(parts: AsyncIterator[pb.ExportBundleResponse], draft: Path) -> str:
    """Write all parts; returns the root that was announced."""
    root, wanted, got = "", 0, 0
    with draft.open("wb") as file:
        async for part in parts:
            root, wanted = part.root, part.file_bytes
            got += file.write(part.chunk)
    if got != wanted or not got:
        message = f"only {got:,} of {wanted:,} bytes came"
        raise IncompleteFile(message)
    return root
