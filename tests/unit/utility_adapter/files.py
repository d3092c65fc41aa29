"""Short ways to read what a test wrote."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.unit.utility_adapter.meter_data import OPTIONS
from utility_adapter.domain.readings import ReadingFact, Register
from utility_adapter.sources import Delivery, read_file


def read_text(folder: Path, text: str, name: str = "file.txt", **options: Any) -> Delivery:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return read_file(path, replace(OPTIONS, **options))


def read_bytes(folder: Path, written: BytesIO, name: str = "file", **options: Any) -> Delivery:
    path = folder / name
    path.write_bytes(written.getvalue())
    return read_file(path, replace(OPTIONS, **options))


def facts_of(delivery: Delivery) -> list[ReadingFact]:
    with delivery:
        return list(delivery.facts())


def wh_of(delivery: Delivery, register: Register = Register.IMPORT) -> list[int]:
    return [fact.wh for fact in facts_of(delivery) if fact.register is register]
