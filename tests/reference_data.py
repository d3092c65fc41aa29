"""Finds the reference data of others, which is never part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(
    os.environ.get("GRIDCORD_SHARED_DATA")
    or Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
)


def reference(path: str) -> Path:
    """Return a file or folder of the reference data, or skip the test where it is absent."""
    found = FOLDER / path
    if not found.exists():
        pytest.skip(f"reference data absent: {path}")
    return found
