"""Stated matches as JSON text in a column."""

from __future__ import annotations

import json
from dataclasses import asdict

from gridcord.metering.reading import Verdict
from gridcord.metering.verdict import StatedMatch


def match_to_json(match: StatedMatch) -> str:
    """The column's text."""
    return json.dumps(asdict(match), sort_keys=True)


def match_from_json(text: str | None) -> StatedMatch | None:
    """The value of a column's text."""
    if text is None:
        return None
    values = json.loads(text)
    return StatedMatch(**(values | {"verdict": Verdict(values["verdict"])}))
