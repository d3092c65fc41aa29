"""Dataclasses as plain JSON and back, by their type hints: the lines of a bundle.

Strict in both directions: every field is written, no field more or less is read, a value of a
wrong type is refused. Canonical: one value has one text.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")


class PlainError(ValueError):
    """A text does not say a value of the type expected."""


def write(value: object) -> str:
    """The one text of a value: JSON on one line, no blanks, names in the order of the fields."""
    return json.dumps(_plain(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def read(kind: type[Value], text: str) -> Value:
    """Read what `write` wrote.

    Raises:
        PlainError: It did not write this text, or not for this type.
    """
    try:
        value = _value(kind, json.loads(text), "")
        again = write(value)
    except PlainError:
        raise
    except (ValueError, TypeError, RecursionError) as failure:
        raise PlainError(str(failure)) from None
    if again != text:
        raise PlainError("not in canonical form")
    return value  # type: ignore[no-any-return]


def _plain(value: object) -> Any:
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _names(type(value))}
    message = f"not written to a bundle: {type(value).__name__}"
    raise TypeError(message)


_SCALARS = frozenset({NoneType, bool, int, float, str})


@lru_cache(maxsize=256)
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _value(kind: Any, plain: Any, where: str) -> Any:
    if isinstance(kind, NewType):
        return _value(kind.__supertype__, plain, where)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _optional(kind, plain, where)
    if origin in (tuple, frozenset):
        return _collection(kind, origin, plain, where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, plain, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    return _scalar(kind, plain, where)


def _optional(kind: Any, plain: Any, where: str) -> Any:
    if plain is None:
        return None
    (inner,) = (each for each in get_args(kind) if each is not NoneType)
    return _value(inner, plain, where)


def _collection(kind: Any, origin: Any, plain: Any, where: str) -> Any:
    if not isinstance(plain, list):
        raise PlainError(f"{where}: no list")
    kinds = get_args(kind)
    if origin is frozenset or kinds[-1] is ...:
        kinds = (kinds[0],) * len(plain)
    if len(kinds) != len(plain):
        raise PlainError(f"{where}: {len(plain)} items, expected {len(kinds)}")
    return origin(_value(each, item, where) for each, item in zip(kinds, plain, strict=True))


def _dataclass(kind: Any, plain: Any, where: str) -> Any:
    hints = _hints(kind)
    if not isinstance(plain, Mapping) or plain.keys() != hints.keys():
        raise PlainError(f"{where or kind.__name__}: not the fields {', '.join(hints)}")
    return kind(**{name: _value(hint, plain[name], name) for name, hint in hints.items()})


@lru_cache(maxsize=256)
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _scalar(kind: Any, plain: Any, where: str) -> Any:
    if kind is float and type(plain) is float and math.isfinite(plain):
        return plain
    if kind is float and type(plain) is int:
        return plain
    if kind not in (int, str, bool) or type(plain) is not kind:
        raise PlainError(f"{where}: {str(plain)[:40]!r} is no {kind.__name__}")
    return plain
