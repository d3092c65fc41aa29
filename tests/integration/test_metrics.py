"""What `/metrics` of each program tells, read over HTTP from its process."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from gridcord.chassis.identity import Kind, Principal, Role
from gridcord.chassis.pki import PkiFolder
from gridcord.metering.reading import Permission
from gridcord.simulation.processes import Program
from gridcord.units import Period
from manager.domain.dispatch.demand import Demand
from manager.storage.engine import Database
from manager.storage.market.demands import SqlDemands
from market_adapter.storage.store import MarketStore
from tests.integration.manager.conftest import DOMAIN, running_manager
from tests.integration.manager.recording import RecordingCable, new_site, past_period, tools
from tests.structure.tree import ROOT
from tests.unit.market_adapter.test_store import bid

ENDPOINT: dict[str, object] = {"address": "127.0.0.1:0"}
WITHIN_S = 30.0
DAY_S = 86_400
_SUFFIX = re.compile(r"_(total|created|bucket|count|sum)$")

Figures = dict[tuple[str, tuple[str, ...]], float]


def figures_at(address: str) -> Figures:
    """Name and label values of each series, to its value."""
    with urlopen(f"http://{address}/metrics", timeout=WITHIN_S) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def seen(address: str, wanted: Callable[[Figures], bool]) -> Figures:
    """The figures, once they say what is wanted."""
    end = time.monotonic() + WITHIN_S
    while not wanted(found := figures_at(address)):
        assert time.monotonic() < end, {k: v for k, v in found.items() if "gridcord" in k[0]}
        time.sleep(0.05)
    return found


def assert_all_are_told_of(found: Figures) -> None:
    """docs/operating.md says what each figure means."""
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    names = {_SUFFIX.sub("", name) for name, _ in found if name.startswith("gridcord_")}
    assert {name for name in names if f"`{name}" not in page} == set()


def one(found: Figures, name: str, *labels: str) -> float:
    return found[f"gridcord_{name}", labels]


def outcomes(found: Figures) -> dict[str, float]:
    name = "gridcord_manager_entries_total"
    return {labels[0]: value for (each, labels), value in found.items() if each == name}


def test_a_manager_tells_what_it_does(tmp_path: Path) -> None:
    with running_manager(tmp_path, "", metrics=ENDPOINT) as manager:
        address = str(manager.program.wait_ready()["metrics"])
        found = seen(address, lambda f: one(f, "manager_figures_read_timestamp_seconds") > 0)
        assert set(outcomes(found).values()) == {0.0}
        expiry_s = one(found, "certificate_expiry_timestamp_seconds")
        assert 0 < expiry_s - time.time() <= 30 * DAY_S

        async def scenario() -> None:
            cable = RecordingCable(manager)
            entries = [
                cable.next_entry(cable.counted(past_period(number), discharged_wh=100))
                for number in range(3)
            ]
            entries.append(cable.next_entry(cable.counted(past_period(3), discharged_wh=10**9)))
            async with cable.session(next_sequence_number=1) as (call, _):
                for entry in (*entries, entries[1]):
                    await call.write(entry)
                await asyncio.to_thread(
                    seen,
                    address,
                    lambda f: (
                        outcomes(f)["stored"] + outcomes(f)["quarantined"] == 4
                        and outcomes(f)["repeated"] == 1
                    ),
                )
                during = await asyncio.to_thread(figures_at, address)
                assert one(during, "manager_cables_connected") == 1
                assert one(during, "manager_pending_entries") == 0
            async with tools(manager, Role.OPERATOR) as client:
                await client.block(new_site(), Permission.NONE, "to be counted")

        asyncio.run(scenario())
        _ask_for(tmp_path, -5_000)
        found = seen(
            address,
            lambda f: (
                one(f, "manager_sites_blocked") == 1
                and ("gridcord_manager_period_contracted_wh", ("3",)) in f
                and one(f, "manager_unprojected_entries") == 0
                and one(f, "manager_unsettled_facts") == 0
            ),
        )
        assert one(found, "manager_period_contracted_wh", "3") == -5_000
        assert one(found, "manager_period_requested_wh", "3") == -6_000
        assert one(found, "manager_resources_connected") == 0
        assert one(found, "manager_commit_seconds_count") >= 1
        assert one(found, "manager_commit_seconds_sum") < WITHIN_S
        assert_all_are_told_of(found)


def _ask_for(folder: Path, contracted_wh: int) -> None:
    """Put a demand of this period into the manager's database, as the market's stream does."""
    database = Database(f"sqlite:///{folder / 'manager.db'}")
    demands = SqlDemands(database, default_area="3", now=time.time)
    period = Period.containing(time.time())
    for each in (period, period.next()):
        demand = Demand(
            area_id="3",
            period=each,
            target_wh=contracted_wh - 1_000,
            contracted_wh=contracted_wh,
        )
        asyncio.run(demands.take(demand, "1"))
    database.close()


@contextmanager
def adapter(folder: Path, module: str, kind: Kind, **tables: Any) -> Iterator[str]:
    """An adapter's process: the address of its figures."""
    pki = PkiFolder(folder / "pki")
    pki.create(domain=DOMAIN, now_s=time.time() - 60)
    principal = Principal(domain=DOMAIN, kind=kind, id="main")
    files = pki.issue(principal, now_s=time.time() - 60)
    tls = {"certificate": files.certificate, "key": files.key, "roots": files.roots}
    program = Program(module, folder / module, {"tls": tls, "metrics": ENDPOINT, **tables})
    program.start()
    try:
        yield str(program.wait_ready()["metrics"])
    finally:
        program.stop()


def test_a_market_adapter_tells_its_open_bids(tmp_path: Path) -> None:
    store = MarketStore(tmp_path / "market.db")
    store.add_bids([bid(), bid()], now_s=1)
    store.close()
    file = {"file": str(tmp_path / "market.db")}
    with adapter(tmp_path, "market_adapter", Kind.MARKET, store=file) as address:
        found = seen(address, lambda f: one(f, "market_figures_read_timestamp_seconds") > 0)
        name = "gridcord_market_open_bids"
        states = {labels[0]: value for (each, labels), value in found.items() if each == name}
        assert sum(states.values()) == 2
        assert {"DRAFT", "SUBMITTING", "SUBMITTED", "PARTIALLY_CONTRACTED"} == set(states)
        assert one(found, "certificate_expiry_timestamp_seconds") > time.time()
        assert_all_are_told_of(found)


def test_a_utility_adapter_tells_of_files(tmp_path: Path) -> None:
    inbox, outbox = tmp_path / "inbox", tmp_path / "transfers.csv"
    tables = {
        "store": {"file": str(tmp_path / "utility.db")},
        "inbox": {"folder": str(inbox), "look_s": 0.1},
        "outbox": {"file": str(outbox), "write_every_s": 0.1},
    }
    with adapter(tmp_path, "utility_adapter", Kind.UTILITY, **tables) as address:
        found = seen(address, lambda f: one(f, "utility_outbox_written_timestamp_seconds") > 0)
        assert one(found, "utility_outbox_waiting") == 0
        (inbox / "good.csv").write_text(
            "site_id,period_start,import_wh,export_wh\nend,0\n", "utf-8"
        )
        (inbox / "bad.csv").write_text("what is this?\n", "utf-8")
        name = "utility_inbox_files_total"
        found = seen(address, lambda f: one(f, name, "taken") + one(f, name, "refused") == 2)
        assert one(found, name, "refused") >= 1
        found = seen(address, lambda f: one(f, "utility_inbox_waiting_files") == 0)
        assert_all_are_told_of(found)
