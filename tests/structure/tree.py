"""Where the project's own files are."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gridcord", "cable_node", "manager", "market_adapter", "utility_adapter")
GENERATED = ROOT / "gridcord" / "api"


@cache
def product_files() -> tuple[Path, ...]:
    """Every Python file of the product; generated ones are not ours."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return tuple(sorted(path for path in found if GENERATED not in path.parents))


def project_files(*suffixes: str) -> Iterator[Path]:
    """Every file that people of the project write, by suffix; lock file and licence are not."""
    folders = [*PACKAGES, "tests", "protos", "docs", "conf", "deploy"]
    inside = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    for path in [*inside, *ROOT.glob("*")]:
        made = GENERATED in path.parents or "_build" in path.parts or "__pycache__" in path.parts
        if path.is_file() and path.suffix in suffixes and not made:
            yield path


def within(path: Path) -> str:
    """A path as people name it."""
    return str(path.relative_to(ROOT))


@cache
def pyproject() -> dict[str, Any]:
    """The project's own description."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
