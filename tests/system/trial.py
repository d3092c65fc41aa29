"""A trial of exactly-once: a manager, cables, a bad network between them, and kills."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gridcord.chassis.channel import server_name
from gridcord.chassis.identity import Kind, Principal
from gridcord.chassis.pki import PkiFolder
from gridcord.chassis.supervisor import read_ready_file
from gridcord.simulation.processes import to_toml
from gridcord.testing.fault_proxy import FaultProxy
from tests.system import invariants
from tests.system.cable_process import PERIOD_S, CableSettings
from tests.system.nursery import Child, Nursery
from tests.system.rows import CableHistory, Violation
from tests.system.stored import (
    availability_payments,
    fold,
    read_audited,
    read_cursors,
    read_history,
    read_store,
    spans,
)

DOMAIN = "grid.example"
READY_WITHIN_S = 60.0
LOOK_S = 0.02
DAY_S = 86_400


@dataclass(slots=True)
class Tally:
    """What was done, and what was seen to be wrong on the way."""

    manager_kills: int = 0
    cable_kills: int = 0
    faults: int = 0
    violations: list[Violation] = field(default_factory=list)


class Trial:
    """One manager on one database, cables behind a proxy that fails on demand.

    Args:
        folder: Of everything.
        nursery: Starts the processes.
        url: Of the database, empty, SQLAlchemy's address.
        cables: How many.
        entries: That each produces in all.
        every_s: Between two of a cable, real seconds.
        mutant: A deliberate bug of the manager.
        cable_mutant: A deliberate bug of the cables.
        seed: Of the order of faults.
    """

    def __init__(
        self,
        folder: Path,
        nursery: Nursery,
        *,
        url: str,
        cables: int,
        entries: int,
        every_s: float = 0.0,
        mutant: str = "",
        cable_mutant: str = "",
        seed: int = 0,
    ) -> None:
        self.folder = folder
        self.url = url
        self.names = [f"cable-{number}" for number in range(cables)]
        self.tally = Tally()
        self.dice = random.Random(seed)
        self._nursery = nursery
        self._entries, self._every_s = entries, every_s
        self._mutant, self._cable_mutant = mutant, cable_mutant
        self._pki = PkiFolder(folder / "pki")
        self._pki.create(domain=DOMAIN, now_s=time.time() - 60)
        self._port = _free_port()
        self._manager: Child | None = None
        self._cables: dict[str, Child] = {}
        self._epochs: dict[int, str] = {}
        self._begin_s = (int(time.time()) - 3 * DAY_S) // PERIOD_S * PERIOD_S
        self.proxy = FaultProxy(("127.0.0.1", self._port), seed=seed)
        self._write_settings()

    async def __aenter__(self) -> Trial:  # noqa: PYI034
        """Open the network; nothing runs yet."""
        await self.proxy.__aenter__()
        return self

    async def __aexit__(self, *how: object) -> None:
        """Kill what runs."""
        for child in (*self._cables.values(), self._manager):
            if child is not None:
                child.kill()
        await self.proxy.__aexit__(*how)

    @property
    def database(self) -> Path:
        """The file, on SQLite."""
        return Path(str(sa.make_url(self.url).database))

    # What runs.

    def start_manager(self) -> None:
        """Start it; `manager_ready` says when it serves."""
        self._ready_file.unlink(missing_ok=True)
        self._manager = self._nursery.start(
            "manager",
            ["--config", self.folder / "manager.toml"],
            self.folder / "manager.log",
            mutant=self._mutant,
        )

    async def manager_ready(self) -> None:
        """Wait until it serves."""
        end_s = time.monotonic() + READY_WITHIN_S
        while read_ready_file(self._ready_file) is None:
            assert self._manager is not None
            assert self._manager.running, self.log()
            assert time.monotonic() < end_s, self.log()
            await asyncio.sleep(LOOK_S)

    async def restart_manager(self) -> None:
        """Kill -9, look whether confirmations were true, start again."""
        self.kill_manager()
        self.start_manager()
        await self.manager_ready()

    def kill_manager(self) -> None:
        """Kill -9; what was confirmed by then must be in the store."""
        assert self._manager is not None
        self._manager.kill()
        self._manager = None
        self.tally.manager_kills += 1
        self.tally.violations += invariants.i1_acked_is_committed(
            self._confirmed(), read_cursors(self.url)
        )

    def start_cable(self, name: str, *, claims: str = "") -> None:
        """Start a cable, or start it again."""
        settings = self._cable_settings(name, claims)
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(asdict(settings)), "utf-8")
        self._cables[name] = self._nursery.start(
            "cable", [path], self.folder / f"{name}.log", mutant=self._cable_mutant
        )

    def kill_cable(self, name: str) -> None:
        """Kill -9."""
        self._cables.pop(name).kill()
        self.tally.cable_kills += 1

    # What is there.

    def histories(self) -> list[CableHistory]:
        """Of all cables that have a journal; they must not run."""
        return [
            read_history(self.folder / name, name)
            for name in self.names
            if (self.folder / name / "journal.db").exists()
        ]

    def delivered(self, cables: Sequence[str]) -> bool:
        """Each has produced what it was told to, it is confirmed, and derived from."""
        confirmed = all(_acked(self.folder / name) >= self._entries for name in cables)
        return confirmed and self._derived(cables)

    async def settle(self, within_s: float, cables: Sequence[str] = ()) -> None:
        """Wait until all is delivered, by these cables or by all, or the bound of I14 is over."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s and not self.delivered(cables or self.names):
            if self._manager is not None and not self._manager.running:
                self.start_manager()  # as a supervisor does
            await asyncio.sleep(10 * LOOK_S)

    def judge(self) -> list[Violation]:
        """All invariants, over the store and the histories; kills everything that runs."""
        for name in list(self._cables):
            self._cables.pop(name).kill()
        if self._manager is not None:
            self._manager.kill()
            self._manager = None
        histories = self.histories()
        brought_by = {history.journal_epoch: history.cable_id for history in histories}
        store = read_store(self.url, brought_by)
        derived = fold(store.entries)
        assert store.ledger or not store.transfers, "nothing is booked of what was transferred"
        return [
            *self.tally.violations,
            *invariants.i1_acked_is_committed(histories, store.cursors),
            *invariants.i2_no_key_twice(store.entries),
            *invariants.i3_gapless(store.entries, store.cursors, store.lost),
            *invariants.i4_bytes_are_the_cables(store.entries, histories),
            *invariants.i5_cable_is_the_certificates(store.entries),
            *invariants.i6_derived_is_the_fold("transfer", store.transfers, derived),
            *invariants.i7_registers_are_a_chain(spans(store.entries), store.gaps),
            *invariants.i9_one_availability_payment(
                availability_payments(store.entries, store.transfers)
            ),
            *invariants.i10_ledger_balances_and_only_grows(store.ledger),
            *invariants.i12_fences_only_rise(histories, store.entries),
            *invariants.i14_everything_arrived(histories, store.entries),
        ]

    def stored(self) -> int:
        """Entries in the store, over all cables (their numbers have no holes)."""
        return sum(cursor.committed_sequence for cursor in read_cursors(self.url))

    def audited(self, action: str) -> bool:
        """Whether the manager's audit log names an action."""
        return action in read_audited(self.url)

    # The file, on SQLite.

    def back_up(self) -> Path:
        """Copy the database while the manager writes, as an operator does."""
        copy = self.folder / "backup.db"
        with (
            contextlib.closing(
                sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
            ) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        return copy

    def restore(self, copy: Path) -> None:
        """Put an older copy in the place of the database; the manager must not run."""
        assert self._manager is None
        for suffix in ("-wal", "-shm"):
            self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(copy, self.database)

    def log(self) -> str:
        """The end of the manager's log."""
        path = self.folder / "manager.log"
        return path.read_text("utf-8", "replace")[-3000:] if path.exists() else ""

    def _confirmed(self) -> list[CableHistory]:
        return [
            CableHistory(cable_id=name, journal_epoch=epoch, acked=[_acked(self.folder / name)])
            for name in self.names
            if (epoch := self._epoch(name))
        ]

    def _epoch(self, name: str) -> int:
        path = self.folder / name / "journal.db"
        if not path.exists():
            return 0
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
            try:
                (epoch,) = journal.execute("SELECT journal_epoch FROM journal").fetchone()
            except sqlite3.OperationalError:  # made, but not laid out yet
                return 0
        return int(epoch)

    def _derived(self, cables: Sequence[str]) -> bool:
        with contextlib.suppress(sa.exc.DBAPIError):
            derived = read_store(self.url, {}).transfers
            return sum(key[0] in cables for key in derived) >= self._entries * len(cables)
        return False

    @property
    def _ready_file(self) -> Path:
        return self.folder / "ready.json"

    def _write_settings(self) -> None:
        files = self._issue(Kind.MANAGER, "main")
        sqlite = self.url.startswith("sqlite")
        tables: dict[str, dict[str, Any]] = {
            "tls": files,
            "listen": {
                "address": f"127.0.0.1:{self._port}",
                "ready_file": str(self._ready_file),
                "grace_s": 1.0,
            },
            "database": {"file": str(self.database)} if sqlite else {"url": self.url},
            # Each kill is a reconnect, each cable's restart a new boot beside a session that lives.
            "session": {"reconnects": 100_000, "takeovers": 100_000},
            "log": {"format": "json", "level": "warning"},
        }
        (self.folder / "manager.toml").write_text(to_toml(tables), "utf-8")

    def _issue(self, kind: Kind, name: str) -> dict[str, str]:
        principal = Principal(domain=DOMAIN, kind=kind, id=name)
        files = self._pki.files(principal)
        if not files.certificate.exists():
            self._pki.issue(principal, now_s=time.time() - 60)
        return {
            "certificate": str(files.certificate),
            "key": str(files.key),
            "roots": str(files.roots),
        }

    def _cable_settings(self, name: str, claims: str) -> CableSettings:
        return CableSettings(
            folder=str(self.folder / name),
            target=f"127.0.0.1:{self.proxy.port}",
            server_name=server_name(Kind.MANAGER, DOMAIN),
            entries=self._entries,
            every_s=self._every_s,
            begin_s=self._begin_s,
            site_id=f"obis:45{int(name.rpartition('-')[2]):012d}",
            claims=claims,
            **self._issue(Kind.CABLE, name),
        )


def told(violations: Sequence[Violation]) -> str:
    """A few violations, for a test's message."""
    lines = [f"{each.invariant}: {each.message}" for each in violations[:8]]
    return f"{len(violations)} violations\n" + "\n".join(lines)


def names(violations: Iterable[Violation]) -> set[str]:
    """Which invariants are violated."""
    return {violation.invariant for violation in violations}


def _acked(folder: Path) -> int:
    """The newest confirmation in a cable's history."""
    try:
        text = (folder / "history").read_text("ascii")
    except FileNotFoundError:
        return 0
    acked = [int(line[6:]) for line in text.splitlines() if line.startswith("acked ")]
    return acked[-1] if acked else 0  # lower than before after the manager's restore


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
