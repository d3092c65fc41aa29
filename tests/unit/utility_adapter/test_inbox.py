"""Files of a folder: taken in once, in whole, and each going on where the one before it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gridcord.units import SiteId
from tests.unit.utility_adapter.snippets import IEC_REGISTER, iec_message, iec_reading
from utility_adapter.domain.readings import Register
from utility_adapter.inbox import DONE, REFUSED, Inbox
from utility_adapter.storage.engine import open_engine
from utility_adapter.storage.store import Store

NOON_S = 1_778_846_400
METER = "WT20069447"
SITE = SiteId(f"iec.meter:{METER}")
HEADER = "site_id,period_start,import_wh,export_wh\n"


class Enough(Exception):
    """The story has seen what it wanted."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    engine = open_engine(tmp_path / "utility.db")
    yield Store(engine)
    engine.dispose()


@pytest.fixture
def inbox(tmp_path: Path, store: Store) -> Inbox:
    return Inbox(
        tmp_path / "inbox",
        store=store,
        period_s=1800,
        now=lambda: float(NOON_S),
        sleep=asyncio.sleep,
        look_s=1.0,
    )


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / "inbox" / name
    path.write_text(text, "utf-8")
    return path


def registers(at_s: int, kwh: str) -> str:
    """A file of one read of a cumulative register."""
    readings = iter([iec_reading(at_s, kwh)])
    return "".join(iec_message(iter([(METER, [(IEC_REGISTER[Register.IMPORT], readings)])])))


def imports(store: Store) -> list[int | None]:
    found = store.readings(SITE, start_s=0, end_s=2**33, as_of_s=None)
    return [reading.import_wh for reading in found]


def test_a_register_goes_on_from_file_to_file(tmp_path: Path, store: Store, inbox: Inbox) -> None:
    inbox.take(put(tmp_path, "1.xml", registers(NOON_S, "100.000")))
    assert imports(store) == []
    inbox.take(put(tmp_path, "2.xml", registers(NOON_S + 1800, "100.700")))
    assert imports(store) == [700]
    assert len(store.registers) == 1
    assert [store.registers[key].wh for key in store.registers] == [100_700]


def test_a_read_that_comes_late_does_not_turn_a_register_back(
    tmp_path: Path, store: Store, inbox: Inbox
) -> None:
    inbox.take(put(tmp_path, "2.xml", registers(NOON_S + 1800, "100.700")))
    inbox.take(put(tmp_path, "1.xml", registers(NOON_S, "100.000")))
    inbox.take(put(tmp_path, "3.xml", registers(NOON_S + 3600, "101.000")))
    assert imports(store) == [300]


def test_a_file_that_is_known_is_only_moved(tmp_path: Path, store: Store, inbox: Inbox) -> None:
    text = f"{HEADER}{SITE},2026-05-15T12:00:00Z,700,0\nend,1\n"
    for _ in range(2):  # the second time as after a kill between storing and moving
        inbox.take(put(tmp_path, "a.csv", text))
    assert imports(store) == [700]
    assert [path.name for path in (tmp_path / "inbox" / DONE).iterdir()] == ["a.csv"]
    inbox.take(put(tmp_path, "b.csv", text))  # the same facts in another file
    assert imports(store) == [700]
    assert len(store.readings_after(0, 10)[0]) == 1


def test_a_broken_file_is_put_aside_with_line_and_reason(
    tmp_path: Path, store: Store, inbox: Inbox
) -> None:
    inbox.take(put(tmp_path, "a.csv", f"{HEADER}{SITE},2026-05-15T12:00:00Z,700,0\nend,2\n"))
    assert imports(store) == []
    refused = tmp_path / "inbox" / REFUSED
    assert {path.name for path in refused.iterdir()} == {"a.csv", "a.csv.txt"}
    assert "3" in (refused / "a.csv.txt").read_text("utf-8")


def test_a_register_that_nobody_told_of_is_not_known(store: Store) -> None:
    with pytest.raises(KeyError):
        store.registers[SITE, Register.EXPORT]
    assert list(store.registers) == []


def test_a_file_that_cannot_be_read_keeps_no_other_waiting(tmp_path: Path, store: Store) -> None:
    text = f"{HEADER}{SITE},2026-05-15T12:00:00Z,700,0\nend,1\n"
    looks = 0

    async def sleep(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise Enough

    class Vanishing(Inbox):
        """An inbox whose first file is gone when its turn comes."""

        def take(self, path: Path) -> None:
            if path.name == "a.csv":
                path.unlink(missing_ok=True)
            super().take(path)

    inbox = Vanishing(
        tmp_path / "inbox",
        store=store,
        period_s=1800,
        now=lambda: float(NOON_S),
        sleep=sleep,
        look_s=1.0,
    )
    put(tmp_path, "a.csv", text)
    put(tmp_path, "b.csv", text)
    with pytest.raises(Enough), capture_logs() as logs:
        asyncio.run(inbox.run())
    assert imports(store) == [700]
    assert [entry["file"] for entry in logs if entry["event"] == "file.not_taken"] == ["a.csv"]
