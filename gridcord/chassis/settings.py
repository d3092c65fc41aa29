"""One TOML file per program, read once into a frozen model that refuses what it does not know.

A value comes from the environment (`GRIDCORD_<PROGRAM>__SECTION__KEY`), else from the file, else
from the model. Relative paths are relative to the file.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError as UnreadableVariable

_FOLDER: ContextVar[Path] = ContextVar("folder")

ENVIRONMENT = "environment"
FILE = "file"
DEFAULT = "default"


class SettingsError(ValueError):
    """Settings cannot be used; the text says file, key, what is wrong and what to do."""


def _in_folder(path: Path) -> Path:
    return _FOLDER.get(Path()) / path.expanduser()


FilePath = Annotated[Path, AfterValidator(_in_folder)]
"""A path that is relative to the settings file; `~` is the home folder."""


class Use(Enum):
    """What a program does with a path of its settings; `gridcord.chassis.readiness` looks at it."""

    READ = "read"
    """Reads the file, which is there."""
    WRITE = "write"
    """Writes the file; missing folders are made."""
    PLACE = "place"
    """Makes the file in a folder that is there."""
    FILL = "fill"
    """Puts files into the folder, which is made when it is missing."""


ReadFile = Annotated[FilePath, Use.READ]
WrittenFile = Annotated[FilePath, Use.WRITE]
PlacedFile = Annotated[FilePath, Use.PLACE]
FilledFolder = Annotated[FilePath, Use.FILL]


class Section(BaseModel):
    """A table of the file: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProgramSettings(BaseSettings):
    """All settings of one program; subclass it, set `program`, load it with `load_settings`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_nested_delimiter="__")

    program: ClassVar[str]
    """Name of the command without "gridcord-", such as "cable-node"."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the file's content, which comes as arguments."""
        return (env_settings, init_settings)


Settings = TypeVar("Settings", bound=ProgramSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One effective setting.

    Args:
        key: Dotted, such as "tls.roots".
        value: As the program sees it.
        origin: ENVIRONMENT, FILE or DEFAULT.
    """

    key: str
    value: object
    origin: str


def load_settings(model: type[Settings], file: Path) -> Settings:
    """Read a program's settings.

    Raises:
        SettingsError: With every complaint at once, one a line.
    """
    content = _read(file)
    _refuse_unknown_variables(model)
    token = _FOLDER.set(file.absolute().parent)
    try:
        return model(_env_prefix=environment_prefix(model), **content)  # type: ignore[call-arg]
    except ValidationError as error:
        complaints = [_complaint(model, file, detail) for detail in error.errors()]
        raise SettingsError("\n".join(complaints)) from error
    except UnreadableVariable as error:
        message = f"environment: {error}: give a list or table as JSON"
        raise SettingsError(message) from error
    finally:
        _FOLDER.reset(token)


def effective_values(model: type[Settings], file: Path) -> list[Value]:
    """Every setting with its value and where it comes from, in the order of the model.

    Raises:
        SettingsError: As `load_settings`.
    """
    settings = load_settings(model, file)
    given = {ENVIRONMENT: _environment(model), FILE: _read(file)}
    return [
        Value(key=".".join(path), value=value, origin=_origin(path, given))
        for path, value in _leaves(settings)
    ]


def environment_prefix(model: type[ProgramSettings]) -> str:
    """What the names of a program's environment variables start with."""
    return f"GRIDCORD_{model.program.upper().replace('-', '_')}__"


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        message = f"{file}: {error.strerror}: name another file, or start from the sample in conf/"
        raise SettingsError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{file}: no TOML: {error}"
        raise SettingsError(message) from error


def _environment(model: type[ProgramSettings]) -> Mapping[str, Any]:
    return EnvSettingsSource(model, env_prefix=environment_prefix(model))()


def _refuse_unknown_variables(model: type[ProgramSettings]) -> None:
    prefix = environment_prefix(model)
    for name in os.environ:
        if not name.upper().startswith(prefix):
            continue
        section = name[len(prefix) :].split("__")[0].lower()
        if section not in model.model_fields:
            message = f"environment: {name}: unknown section {section!r}{_nearest(section, model)}"
            raise SettingsError(message)


def _complaint(model: type[ProgramSettings], file: Path, detail: ErrorDetails) -> str:
    path = tuple(str(part) for part in detail["loc"])
    place = str(file)
    if _given(path, _environment(model)):
        place = f"environment: {environment_prefix(model)}{'__'.join(path).upper()}"
    return f"{place}: {'.'.join(path)}: {_what_to_do(model, path, detail)}"


def _what_to_do(model: type[BaseModel], path: Sequence[str], detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return "unknown key" + _nearest(path[-1], _model_at(model, path[:-1]))
    if detail["type"] == "missing":
        return "missing: it has no default, so set it"
    return f"{detail['msg']}; it is {detail['input']!r}"


def _nearest(key: str, model: type[BaseModel] | None) -> str:
    known = list(model.model_fields) if model else []
    if near := difflib.get_close_matches(key, known, n=1, cutoff=0.5):
        return f": did you mean {near[0]!r}?"
    return f": remove it, known are {', '.join(known)}" if known else ": remove it"


def _model_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    found: type[BaseModel] | None = model
    for part in path:
        field = found.model_fields.get(part) if found else None
        if field is not None:
            found = next(_models_in(field.annotation), None)
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _leaves(model: BaseModel, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _origin(path: tuple[str, ...], given: Mapping[str, Mapping[str, Any]]) -> str:
    return next((origin for origin, values in given.items() if _given(path, values)), DEFAULT)


def _given(path: Sequence[str], values: Any) -> bool:
    for part in path:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True
