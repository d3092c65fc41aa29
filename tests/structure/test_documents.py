"""The change log, the decisions, and links between documents."""

from __future__ import annotations

import re
from collections import Counter

from gridcord import __version__
from tests.structure.tree import ROOT, project_files, pyproject, within

DECISIONS = ROOT / "docs" / "decisions"
NAME = re.compile(r"(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.md")
SECTION = re.compile(r"^## \[?(Unreleased|\d+\.\d+\.\d+)\]?", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FILE = re.compile(r"`((?:[a-z0-9_]+/)+[a-z0-9_]+\.(?:py|proto))`")


def test_the_change_log_begins_with_what_comes_next_or_this_version() -> None:
    sections = SECTION.findall((ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert sections[0] in {"Unreleased", __version__}


def test_the_version_is_said_once() -> None:
    assert pyproject()["project"]["version"] == __version__


def test_decisions_have_a_number_of_their_own_and_its_title() -> None:
    files = sorted(path for path in DECISIONS.glob("*.md") if path.name != "README.md")
    assert files
    assert [path.name for path in files if NAME.fullmatch(path.name) is None] == []
    numbers = Counter(path.name[:4] for path in files)
    assert [number for number, count in numbers.items() if count > 1] == []
    first_lines = {path.name: path.read_text("utf-8").splitlines()[0] for path in files}
    untitled = [name for name, line in first_lines.items() if not line.startswith(f"# {name[:4]} ")]
    assert untitled == []


def test_links_between_documents_lead_somewhere() -> None:
    dead = [
        f"{within(path)} -> {target}"
        for path in project_files(".md")
        for target in LINK.findall(path.read_text("utf-8"))
        if "://" not in target and not target.startswith("mailto:")
        if not (path.parent / target).exists()
    ]
    assert dead == []


def test_code_that_documents_name_is_there() -> None:
    code = ["/" + within(path) for path in project_files(".py", ".proto")]
    gone = [
        f"{within(path)} names {name}"
        for path in project_files(".md")
        if path.name != "CHANGELOG.md"
        for name in FILE.findall(path.read_text("utf-8"))
        if not any(file.endswith("/" + name) for file in code)
    ]
    assert gone == []
