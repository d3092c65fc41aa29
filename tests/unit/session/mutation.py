"""Engines with a bug: the product's own source with a fragment replaced."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from types import ModuleType


def changed(module: ModuleType, changes: Iterable[tuple[str, str]]) -> ModuleType:
    """A module whose source says something else where it said something, which it did once."""
    source = inspect.getsource(module)
    for before, after in changes:
        if source.count(before) != 1:
            message = f"{module.__name__} says {source.count(before)} times {before!r}"
            raise AssertionError(message)
        source = source.replace(before, after)
    mutant = ModuleType(f"changed_{module.__name__.rpartition('.')[2]}")
    sys.modules[mutant.__name__] = mutant  # dataclasses look themselves up there
    exec(compile(source, str(module.__file__), "exec"), mutant.__dict__)
    return mutant
