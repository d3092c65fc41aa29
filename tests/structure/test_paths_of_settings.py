"""Every path of every program's settings says what it is for, so that `--check` can look at it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from gridcord.chassis.readiness import use_of

PROGRAMS = {entry.name: entry for entry in entry_points(group="gridcord.settings")}
MAY_BE_ABSENT = {"site_access.file"}  # `gridcord site-access set` makes it, also later


def paths_of(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, Any]]:
    """Names and fields of paths."""
    for name, field in model.model_fields.items():
        kinds = list(plain_kinds(field.annotation))
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from paths_of(kind, f"{above}{name}.")
        if Path in kinds:
            yield f"{above}{name}", field


def plain_kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    if get_origin(annotation) is Annotated:
        yield from plain_kinds(annotation.__origin__)
    elif arguments := get_args(annotation):
        for each in arguments:
            yield from plain_kinds(each)
    else:
        yield annotation


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_a_path_says_what_it_is_for(program: str) -> None:
    found = dict(paths_of(PROGRAMS[program].load()))
    assert "tls.certificate" in found
    silent = {name for name, field in found.items() if use_of(field) is None}
    assert silent <= MAY_BE_ABSENT
