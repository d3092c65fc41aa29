"""The manager's figures for Prometheus; `docs/operating.md` says what to alert on.

What this process holds is read when it is asked for; what the tables say is read every few seconds
by a task, so that a scrape never waits for a database.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Sized

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from gridcord.chassis.metrics import tell, timed
from gridcord.session.manager import Decision, Folded
from gridcord.units import Period
from manager.domain.records.cable_session import CableIntroduction
from manager.ports import Journals, OpenedSession, ReceivedEntry, StoreFull, StoreUnavailable
from manager.storage.figures import SqlFigures, StoredFigures

READ_EVERY_S = 2.0  # real seconds

# A commit is one fsync at best, a busy database at worst: seconds.
_COMMIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_OUTCOME = {
    Decision.ACCEPT: "stored",
    Decision.QUARANTINE: "quarantined",
    Decision.DUPLICATE: "repeated",
    Decision.EQUIVOCATION: "equivocated",
    Decision.GAP: "refused",
    Decision.FENCED: "refused",
}

log = structlog.get_logger()


class MeasuredJournals:
    """Journals whose commits are timed and whose entries are counted.

    Args:
        journals: Where it is done.
        registry: Where the figures are kept.
    """

    def __init__(self, journals: Journals, registry: CollectorRegistry = REGISTRY) -> None:
        self._journals = journals
        self._seconds = Histogram(
            "gridcord_manager_commit_seconds",
            "Time to make a batch of entries durable",
            buckets=_COMMIT_S,
            registry=registry,
        )
        self._entries = Counter(
            "gridcord_manager_entries",
            "Entries of cables' journals, by what became of them",
            ["outcome"],
            registry=registry,
        )
        for outcome in {*_OUTCOME.values(), "failed"}:
            self._entries.labels(outcome)  # a series that exists can be alerted on

    async def open(
        self, introduction: CableIntroduction, *, previous_alive: bool, now_s: int
    ) -> OpenedSession:
        """Open a session."""
        return await self._journals.open(introduction, previous_alive=previous_alive, now_s=now_s)

    async def close(self, cable_id: str, fence: int, *, reason: str, now_s: int) -> None:
        """Note that a session ended."""
        await self._journals.close(cable_id, fence, reason=reason, now_s=now_s)

    async def commit(self, entries: Sequence[ReceivedEntry], *, now_s: int) -> Folded:
        """Decide on a batch and make it durable."""
        try:
            with timed(self._seconds):
                folded = await self._journals.commit(entries, now_s=now_s)
        except (StoreFull, StoreUnavailable):
            self._entries.labels("failed").inc(len(entries))
            raise
        for ruling in folded.rulings:
            self._entries.labels(_OUTCOME[ruling.decision]).inc()
        return folded


def tell_live(
    *,
    pending: Callable[[], int],
    cables: Sized,
    resources: Sized,
    registry: CollectorRegistry = REGISTRY,
) -> None:
    """Tell what this process holds.

    Args:
        pending: Entries that wait to be committed.
        cables: Live sessions of cables.
        resources: Live sessions of resources.
        registry: Where the figures are kept.
    """
    for name, documentation, value in (
        ("pending_entries", "Entries that wait to be committed", pending),
        ("cables_connected", "Live sessions of cables", cables.__len__),
        ("resources_connected", "Live sessions of resources", resources.__len__),
    ):
        tell(f"gridcord_manager_{name}", documentation, value, registry=registry)


class StoreWatch:
    """Tells what the tables say, and what was delivered of the running period.

    Args:
        figures: The tables.
        delivered: Energy of the running period so far by area, Wh, + into vehicles.
        now: The manager's clock, seconds since 1970 UTC.
        sleep: Waits, real seconds.
        period_s: Length of a period, seconds.
        registry: Where the figures are kept.
    """

    def __init__(
        self,
        *,
        figures: SqlFigures,
        delivered: Callable[[], Mapping[str, float]],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        period_s: int,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._figures = figures
        self._delivered = delivered
        self._now = now
        self._sleep = sleep
        self._period_s = period_s

        def gauge(name: str, documentation: str, *labels: str) -> Gauge:
            return Gauge(f"gridcord_manager_{name}", documentation, labels, registry=registry)

        self._blocked = gauge("sites_blocked", "Sites with a block in force")
        self._unprojected = gauge("unprojected_entries", "Entries nothing was derived of yet")
        self._unsettled = gauge("unsettled_facts", "Facts that the ledger does not know yet")
        self._contracted = gauge("period_contracted_wh", "Contracts of this period", "area")
        self._requested = gauge("period_requested_wh", "Asked for in this period", "area")
        self._period_delivered = gauge("period_delivered_wh", "Done in this period", "area")
        self._read_at = gauge("figures_read_timestamp_seconds", "When the tables were read last")

    async def run(self) -> None:
        """Read for ever."""
        while True:
            try:
                period = Period.containing(self._now(), self._period_s)
                self._tell(await self._figures.read(period))
            except StoreUnavailable as error:
                log.error("figures.not_read", error=str(error)[:200])
            await self._sleep(READ_EVERY_S)

    def _tell(self, found: StoredFigures) -> None:
        self._blocked.set(found.blocked_sites)
        self._unprojected.set(found.unprojected_entries)
        self._unsettled.set(found.unsettled_facts)
        for gauge in (self._contracted, self._requested, self._period_delivered):
            gauge.clear()  # an area without demand has none of the period before
        for each in found.demand:
            self._contracted.labels(each.area_id).set(each.contracted_wh)
            self._requested.labels(each.area_id).set(each.requested_wh)
        for area_id, energy_wh in self._delivered().items():
            self._period_delivered.labels(area_id).set(energy_wh)
        self._read_at.set(time.time())
