"""House rules that a program can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure.tree import GENERATED, ROOT, product_files, project_files, within

MOST_LINES = 400
NO_NOUN = {"util", "utils", "helper", "helpers", "common", "misc", "base", "shared"}
LEFT_OVER = re.compile(r"\b(TODO|FIXME|HACK)\b|pragma:\s*no cover")
SWITCHED_OFF = re.compile(r"pytest\.mark\.(skip|xfail)\b")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_no_file_is_long() -> None:
    """Migrations are left out: each is a snapshot of the schema, never edited again."""
    files = (path for path in product_files() if path.parent.name != "versions")
    lengths = {within(path): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_modules_are_named_after_what_they_hold() -> None:
    parts = {
        within(path): set(path.relative_to(ROOT).with_suffix("").parts)
        for path in project_files(".py")
    }
    assert [name for name, words in parts.items() if words & NO_NOUN] == []


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in product_files() if ast.get_docstring(_tree(path)) is None]
    assert [within(path) for path in silent] == []


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in product_files()}
    assert [within(each) for each in sorted(folders) if not (each / "__init__.py").exists()] == []


def test_everything_public_has_a_docstring() -> None:
    silent = [
        f"{within(path)}:{node.lineno} {node.name}"
        for path in product_files()
        for node in _public(_tree(path))
        if ast.get_docstring(node) is None
    ]
    assert silent == []


def test_nothing_is_left_for_later() -> None:
    own = Path(__file__).resolve()
    found = [
        f"{within(path)}:{number}"
        for path in project_files(".py", ".proto", ".toml", ".md")
        if path != own
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if LEFT_OVER.search(line) or (path.suffix == ".py" and SWITCHED_OFF.search(line))
    ]
    assert found == []


@pytest.mark.parametrize("word", ["a TODO here", "x = 1  # pragma: no cover", "FIXME"])
def test_the_search_for_left_overs_finds_them(word: str) -> None:
    assert LEFT_OVER.search(word)


def test_generated_code_is_not_in_git() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert f"/{GENERATED.relative_to(ROOT)}/" in ignored
    elsewhere = [path for path in project_files(".py", ".pyi") if "_pb2" in path.stem]
    assert [within(path) for path in elsewhere] == []


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def _public(node: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Functions and classes others may use; an override or a setter repeats what is said once."""
    for child in node.body:
        if not isinstance(child, Definition) or child.name.startswith("_") or _repeats(child):
            continue
        yield child
        if isinstance(child, ast.ClassDef):
            yield from _public(child)


def _repeats(node: Definition) -> bool:
    decorators = [ast.unparse(each) for each in node.decorator_list]
    return any(each in {"override", "overload"} or each.endswith(".setter") for each in decorators)
