"""The reference of all commands as Markdown: `python -m gridcord.cli.reference docs/cli.md`.

Rewrites what stands below `MARK` in that file; a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from gridcord.cli.main import app, load_command

MARK = "<!-- What follows is made by: python -m gridcord.cli.reference docs/cli.md -->"
SHARED = ("--manager", "--tls", "--server-name", "--data")  # told once, above the mark


def page(text: str) -> str:
    """A page with its reference made anew.

    Raises:
        ValueError: The page has no mark.
    """
    head, mark, _ = text.partition(MARK)
    if not mark:
        message = f"the page has no line {MARK!r}"
        raise ValueError(message)
    return f"{head}{MARK}\n\n{reference()}"


def reference() -> str:
    """Every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    names = root.list_commands(None)
    sections = (section for name in names for section in _sections(name, load_command(name)))
    return "\n".join(sections)


def _sections(path: str, command: Any) -> Iterator[str]:
    subcommands = getattr(command, "commands", {})
    if not subcommands or getattr(command, "invoke_without_command", False):
        yield _section(path, command)
    for name, subcommand in subcommands.items():
        yield from _sections(f"{path} {name}", subcommand)


def _section(path: str, command: Any) -> str:
    shown = [each for each in command.params if not each.hidden and each.name != "help"]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    options = [each for each in shown if each.param_type_name == "option"]
    usage = " ".join(("gridcord", path, *map(_placeholder, arguments)))
    lines = [f"### {path}", "", f"`{usage}`", "", _sentence(command), ""]
    reaches = any(each.opts[0] == SHARED[0] for each in options)
    told = [each for each in options if not (reaches and each.opts[0] in SHARED)]
    rows = [(_value(each), _told(each)) for each in arguments]
    rows += [(_option(each), _told(each)) for each in told]
    if rows:
        lines += ["| | |", "|---|---|"]
        lines += [f"| `{_cell(title)}` | {_cell(text)} |" for title, text in rows]
        lines.append("")
    if len(told) < len(options):
        lines += ["Takes the options that reach a manager.", ""]
    return "\n".join(lines)


def _sentence(command: Any) -> str:
    return " ".join((command.help or command.short_help or "").split())


def _placeholder(argument: Any) -> str:
    return _value(argument) if argument.required else f"[{_value(argument)}]"


def _option(option: Any) -> str:
    names = ", ".join((*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    return f"{names} {_value(option)}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _told(parameter: Any) -> str:
    """What its help says, then which values there are and which one holds if none is said."""
    texts = [parameter.help or ""]
    if parameter.required and parameter.param_type_name == "option":
        texts.insert(0, "Needed.")
    if choices := _choices(parameter):
        texts.append(f"One of {', '.join(choices)}.")
    if parameter.min is not None or parameter.max is not None:
        texts.append(_bounds(parameter.min, parameter.max))
    if not getattr(parameter, "is_flag", False) and parameter.default not in (None, "", (), []):
        texts.append(f"If not said: {_word(parameter.default, parameter)}.")
    return " ".join(text for text in texts if text)


def _choices(parameter: Any) -> list[str]:
    kind = parameter.type_descriptor.annotation
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        return []
    return [_word(each, parameter) for each in kind]


def _word(value: Any, parameter: Any) -> str:
    """A value as it is typed."""
    if not isinstance(value, Enum):
        return f"{value:g}" if isinstance(value, float) else str(value)
    text = str(value.value)
    return text if parameter.type_descriptor.parameter_info.case_sensitive else text.lower()


def _bounds(least: float | None, most: float | None) -> str:
    if least is None:
        return f"At most {most:g}."
    return f"At least {least:g}." if most is None else f"From {least:g} to {most:g}."


def _value(parameter: Any) -> str:
    """What stands for a value: its own word, else the parameter's name."""
    word = parameter.metavar or parameter.name.rstrip("_").replace("_", "-").upper()
    return f"{word} ..." if parameter.nargs == -1 or parameter.multiple else str(word)


def main(path: Path) -> None:
    """Rewrite a page."""
    path.write_text(page(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
