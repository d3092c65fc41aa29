"""docs/cli.md tells every command, argument and option that `gridcord --help` tells."""

from __future__ import annotations

import re
import subprocess
import sys

from gridcord.cli.main import COMMANDS, load_command
from gridcord.cli.reference import SHARED, page
from tests.structure.tree import ROOT

PAGE = ROOT / "docs" / "cli.md"


def test_the_page_is_what_the_commands_say_of_themselves() -> None:
    text = PAGE.read_text("utf-8")
    assert page(text) == text, "run: python -m gridcord.cli.reference docs/cli.md"


def test_every_command_of_the_help_has_a_section() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gridcord.cli.main", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"COLUMNS": "120", "TERM": "dumb", "PATH": ""},
    )
    listed = re.findall(r"^│ ([a-z-]+) +[A-Z]", done.stdout, re.MULTILINE)
    assert set(COMMANDS) <= set(listed)
    sections = set(re.findall(r"^### ([a-z-]+)", PAGE.read_text("utf-8"), re.MULTILINE))
    assert set(listed) == sections


def test_the_options_that_reach_a_manager_are_told_once_above() -> None:
    head, _, _ = PAGE.read_text("utf-8").partition("## All commands")
    options = {each.opts[0] for each in load_command("sites").params}
    assert set(SHARED) < options
    for option in SHARED:
        assert f"`{option} " in head
