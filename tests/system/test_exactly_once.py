"""Every entry is stored exactly once, whatever is killed, cut, garbled or restored.

Real processes: the shipped manager, and cables that run the shipped journal, record writer and
session, over mutual TLS through a proxy that fails. Afterwards the invariants are asked, each with
its name. The deliberate bugs at the end show that the same trials would notice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcord.testing.fault_proxy import Direction, Fault
from tests.postgres import PostgresServer
from tests.system.nursery import Nursery
from tests.system.rows import Violation
from tests.system.trial import Trial, names, told

CONVERGE_S = 60.0
LATEST_FAULT_S = 150.0

FAULTS = (Fault.DELAY, Fault.TRICKLE, Fault.CORRUPT, Fault.BLACKHOLE, Fault.REFUSE)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder}/manager.db"


async def bad_network(trial: Trial) -> None:
    """One fault after the other, with calm and resets between them, for ever."""
    while True:
        for fault in FAULTS:
            trial.proxy.fault = fault
            trial.tally.faults += 1
            await asyncio.sleep(trial.dice.uniform(0.1, 0.5))
            trial.proxy.fault = Fault.NONE
            await asyncio.sleep(trial.dice.uniform(0.5, 1.5))
            trial.proxy.reset()
            await asyncio.sleep(trial.dice.uniform(0.5, 1.0))


async def kill_managers(trial: Trial, kills: int) -> None:
    """Kill the manager again and again, at any moment of its life."""
    while trial.tally.manager_kills < kills:
        if trial.tally.manager_kills % 4:
            await trial.manager_ready()
            await asyncio.sleep(trial.dice.uniform(0.1, 0.9))
        else:
            await asyncio.sleep(trial.dice.uniform(0.0, 0.5))  # perhaps before it serves
        trial.kill_manager()
        trial.start_manager()


async def kill_cables(trial: Trial, kills: int) -> None:
    """Kill one cable after the other."""
    while trial.tally.cable_kills < kills:
        await asyncio.sleep(trial.dice.uniform(0.2, 1.5))
        name = trial.dice.choice(trial.names)
        trial.kill_cable(name)
        trial.start_cable(name)


async def chaos(trial: Trial, *, manager_kills: int, cable_kills: int) -> None:
    """All of it at once; the last fault is over when this returns."""
    network = asyncio.ensure_future(bad_network(trial))
    try:
        async with asyncio.timeout(LATEST_FAULT_S):
            await asyncio.gather(
                kill_managers(trial, manager_kills), kill_cables(trial, cable_kills)
            )
    finally:
        network.cancel()
        trial.proxy.fault = Fault.NONE
    await trial.manager_ready()


async def start(trial: Trial) -> None:
    trial.start_manager()
    for name in trial.names:
        trial.start_cable(name)
    await trial.manager_ready()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_burst_survives_kills_a_bad_network_and_an_older_backup(
    nursery: Nursery, tmp_path: Path
) -> None:
    """More than 4,000 entries of 5 cables; 60 kills of the manager, 40 of cables."""

    async def scenario() -> None:
        trial = Trial(
            tmp_path, nursery, url=sqlite(tmp_path), cables=5, entries=820, every_s=0.05, seed=7
        )
        async with trial:
            await start(trial)
            await chaos(trial, manager_kills=25, cable_kills=15)
            copy = trial.back_up()
            backed_up = trial.stored()
            await chaos(trial, manager_kills=60, cable_kills=40)
            await trial.settle(CONVERGE_S)
            trial.kill_manager()
            assert trial.stored() == 5 * 820

            trial.restore(copy)
            assert trial.stored() <= backed_up < 5 * 820
            trial.start_manager()
            await trial.settle(CONVERGE_S)
            violations = trial.judge()

        tally = trial.tally
        print(tally, "backed up", backed_up, trial.proxy.counts)
        assert not violations, told(violations)
        assert tally.manager_kills >= 60
        assert tally.cable_kills >= 40
        assert trial.proxy.counts.corrupted > 0

    began_s = time.monotonic()
    asyncio.run(scenario())
    print(f"{time.monotonic() - began_s:.0f} s")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_burst_survives_kills_on_postgresql(
    nursery: Nursery, postgres: PostgresServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        trial = Trial(
            tmp_path, nursery, url=postgres.url(), cables=3, entries=250, every_s=0.03, seed=8
        )
        async with trial:
            await start(trial)
            await chaos(trial, manager_kills=15, cable_kills=8)
            await trial.settle(CONVERGE_S)
            violations = trial.judge()
        assert not violations, told(violations)

    asyncio.run(scenario())


def test_a_cable_that_says_it_is_another_stores_nothing(nursery: Nursery, tmp_path: Path) -> None:
    violations = asyncio.run(impostor(nursery, tmp_path, mutant=""))
    assert names(violations) == {"I14"}, told(violations)  # its entries never arrive
    assert all("cable-1" in each.message for each in violations), told(violations)


async def impostor(nursery: Nursery, folder: Path, *, mutant: str) -> list[Violation]:
    """An honest cable, and one with a certificate of its own that claims to be the first."""
    trial = Trial(folder, nursery, url=sqlite(folder), cables=2, entries=20, mutant=mutant)
    async with trial:
        trial.start_manager()
        await trial.manager_ready()
        trial.start_cable("cable-1", claims="cable-0")
        async with asyncio.timeout(CONVERGE_S):
            while not (trial.audited("IDENTITY_MISMATCH") or trial.stored()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        trial.start_cable("cable-0")
        await trial.settle(10.0, ["cable-0"])
        return trial.judge()


def test_trials_notice_confirmations_before_the_commit(nursery: Nursery, tmp_path: Path) -> None:
    async def scenario() -> set[str]:
        trial = Trial(
            tmp_path,
            nursery,
            url=sqlite(tmp_path),
            cables=3,
            entries=100_000,
            mutant="ack_before_commit",
        )
        async with trial:
            await start(trial)
            for _ in range(40):
                await asyncio.sleep(trial.dice.uniform(0.2, 0.6))
                await trial.restart_manager()
                if trial.tally.violations:
                    break
        return names(trial.tally.violations)

    assert asyncio.run(scenario()) == {"I1"}


async def more_stored(trial: Trial, entries: int) -> None:
    enough = trial.stored() + entries
    async with asyncio.timeout(CONVERGE_S):
        while trial.stored() < enough:  # noqa: ASYNC110  (another process is waited for)
            await asyncio.sleep(0.02)


async def lose_confirmations(trial: Trial) -> None:
    """Entries get through and their confirmations do not: they will be offered again."""
    await more_stored(trial, 20)
    trial.proxy.direction = Direction.TO_CLIENT
    trial.proxy.fault = Fault.BLACKHOLE
    await more_stored(trial, 20)
    trial.proxy.reset()
    trial.proxy.fault = Fault.NONE


def test_entries_whose_confirmations_were_lost_are_not_stored_again(
    nursery: Nursery, tmp_path: Path
) -> None:
    async def scenario() -> list[Violation]:
        trial = Trial(tmp_path, nursery, url=sqlite(tmp_path), cables=3, entries=400, every_s=0.01)
        async with trial:
            await start(trial)
            await lose_confirmations(trial)
            await trial.settle(CONVERGE_S)
            return trial.judge()

    violations = asyncio.run(scenario())
    assert not violations, told(violations)


def test_trials_notice_a_manager_without_fence_and_dedupe(nursery: Nursery, tmp_path: Path) -> None:
    """The unique key of the log is the last guard: it keeps the rows right and ends the process."""

    async def scenario() -> list[Violation]:
        trial = Trial(
            tmp_path,
            nursery,
            url=sqlite(tmp_path),
            cables=3,
            entries=400,
            every_s=0.01,
            mutant="no_fence_and_no_dedupe",
        )
        async with trial:
            await start(trial)
            await lose_confirmations(trial)
            await trial.settle(6.0)
            return trial.judge()

    violations = asyncio.run(scenario())
    assert names(violations) & {"I2", "I3", "I4", "I14"}, told(violations)


def test_trials_notice_an_id_that_is_taken_from_the_message(
    nursery: Nursery, tmp_path: Path
) -> None:
    violations = asyncio.run(impostor(nursery, tmp_path, mutant="id_from_payload"))
    assert "I5" in names(violations), told(violations)


def test_trials_notice_cables_that_forget_what_was_confirmed(
    nursery: Nursery, tmp_path: Path
) -> None:
    async def scenario() -> list[Violation]:
        trial = Trial(
            tmp_path,
            nursery,
            url=sqlite(tmp_path),
            cables=2,
            entries=60,
            every_s=0.01,
            cable_mutant="delete_on_ack",
        )
        async with trial:
            await start(trial)
            copy = trial.back_up()
            await trial.settle(CONVERGE_S)
            trial.kill_manager()
            trial.restore(copy)
            trial.start_manager()
            await trial.settle(4.0)
            return trial.judge()

    violations = asyncio.run(scenario())
    assert "I14" in names(violations), told(violations)
