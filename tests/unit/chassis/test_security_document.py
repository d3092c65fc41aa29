"""The security document names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "security.md").read_text("utf-8")


def test_every_test_it_names_exists() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT))

    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    ]

    assert len(named) >= 30
    assert missing == []


def test_every_file_it_names_exists() -> None:
    named = set(re.findall(r"`((?:tests|docs|conf|gridcord)/[\w./]+\.\w+)`", DOCUMENT))

    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_every_attack_has_an_answer() -> None:
    rows = re.findall(r"^\| A(\d+) \| (.+) \| (.+) \| (.+) \|$", DOCUMENT, re.MULTILINE)

    assert [int(number) for number, *_ in rows] == list(range(1, 26))
    assert all(answer.strip() and proof.strip() for _, _, answer, proof in rows)
