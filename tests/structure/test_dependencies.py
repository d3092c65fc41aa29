"""The lock file, and the licences of what the product needs at run time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.structure.tree import ROOT, pyproject

LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINNED = re.compile(r"^([a-z0-9.-]+)==([^ ;\\]+)", re.MULTILINE)
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
# Strong copyleft; the lesser licence (psycopg) lets a program that only imports it be its own.
COPYLEFT = re.compile(r"(?<!L)(?<!Lesser )(A?GPL|(Affero )?General Public License)", re.IGNORECASE)
LESSER = re.compile(r"LGPL|Lesser General Public License", re.IGNORECASE)


def test_every_direct_dependency_is_locked_within_its_bounds() -> None:
    locked = {name: _versions(name) for name, _version in PINNED.findall(LOCK)}
    for requirement in _direct():
        found = locked.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement} is not locked: make lock"
        assert all(requirement.specifier.contains(each) for each in found), (
            f"{requirement}: make lock"
        )


def test_the_lock_is_pinned_by_hash_and_names_no_place() -> None:
    lines = LOCK.splitlines()
    assert [each for each in lines if not HASH.fullmatch(each) and not PINNED.match(each)] == []
    assert "://" not in LOCK
    assert "index" not in LOCK
    assert "#" not in LOCK


def test_no_runtime_dependency_is_under_a_strong_copyleft() -> None:
    texts = {name: _licence(name) for name in _runtime()}
    assert len(texts) > len(pyproject()["project"]["dependencies"])
    refused = {n: text for n, text in texts.items() if COPYLEFT.search(LESSER.sub("", text))}
    assert refused == {}


def test_copyleft_is_told_from_the_lesser() -> None:
    for strong in ("GPL-3.0-only", "AGPLv3", "GNU Affero General Public License v3", "GPLv2+"):
        assert COPYLEFT.search(LESSER.sub("", strong)), strong
    for lesser in ("LGPL-3.0-only", "GNU Lesser General Public License v3 (LGPLv3)", "MIT"):
        assert not COPYLEFT.search(LESSER.sub("", lesser)), lesser


def _direct() -> Iterator[Requirement]:
    project = pyproject()["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for texts in [*groups, pyproject()["build-system"]["requires"]]:
        yield from map(Requirement, texts)


def _versions(wanted: str) -> list[str]:
    """Several where versions of Python need different ones."""
    return [version for name, version in PINNED.findall(LOCK) if name == wanted]


def _runtime() -> set[str]:
    """Names of everything that is installed with the product alone."""
    waiting, found = list(map(Requirement, pyproject()["project"]["dependencies"])), set[str]()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        extras = requirement.extras or {""}
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(needed)
    return found


def _licence(name: str) -> str:
    """What a distribution says of its licence; of a whole text the first line."""
    said = metadata.metadata(name).json
    classifiers = [each for each in said.get("classifier", []) if each.startswith("License")]
    stated = str(said.get("license_expression") or said.get("license") or "").split("\n", 1)[0]
    return "; ".join([stated, *classifiers])
