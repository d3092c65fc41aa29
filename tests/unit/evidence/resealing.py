"""Bundles taken apart and put together again, as an adversary would."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

from gridcord.evidence.bundle_archive import (
    MANIFEST,
    Manifest,
    MemberRoot,
    chain_start,
    chained,
    sealed,
)
from gridcord.evidence.plain import read, write

Raw = dict[str, list[str]]


def opened(path: Path) -> Raw:
    """The lines of each file of a bundle, with their hashes."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode().splitlines() for name in archive.namelist()}


def closed(raw: Raw, path: Path) -> Path:
    """Write files as they are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, lines in raw.items():
            text = "\n".join(lines) + "\n" if name != MANIFEST else "\n".join(lines)
            archive.writestr(name, text if lines else "")
    return path


def contents(raw: Raw) -> dict[str, list[str]]:
    """The texts of each member, without their hashes."""
    return {
        name.removesuffix(".jsonl"): [line.partition(" ")[2] for line in lines]
        for name, lines in raw.items()
        if name != MANIFEST
    }


def resealed(texts: dict[str, list[str]], manifest: str, path: Path) -> Path:
    """Write texts with chains and a manifest that fit them; the signature is gone."""
    raw: Raw = {}
    roots = []
    for member, lines in texts.items():
        before, chain = chain_start(member), []
        for text in lines:
            before = chained(before, text)
            chain.append(f"{before} {text}")
        raw[f"{member}.jsonl"] = chain
        roots.append(MemberRoot(name=member, lines=len(lines), root=before))
    fitting = sealed(replace(read(Manifest, manifest), members=tuple(roots)))
    raw[MANIFEST] = [write(fitting)]
    return closed(raw, path)
