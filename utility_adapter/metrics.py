"""The utility adapter's figures for Prometheus; `docs/operating.md` says what to alert on."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter

from gridcord.chassis.metrics import tell
from utility_adapter.inbox import Inbox
from utility_adapter.outbox import Outbox


def tell_files(inbox: Inbox, outbox: Outbox, *, registry: CollectorRegistry = REGISTRY) -> None:
    """Tell what waits in both folders and what became of files.

    Args:
        inbox: Where the utility's files arrive.
        outbox: What the utility gets.
        registry: Where the figures are kept.
    """
    for name, documentation, value in (
        ("inbox_waiting_files", "Files that were not taken in yet", lambda: inbox.waiting),
        ("outbox_waiting", "1 while transfers are not in the file yet", lambda: outbox.waiting),
        (
            "outbox_written_timestamp_seconds",
            "When the file for the utility was written last; 0 before",
            lambda: outbox.written_s,
        ),
    ):
        tell(f"gridcord_utility_{name}", documentation, value, registry=registry)
    files = Counter(
        "gridcord_utility_inbox_files",
        "Files, by what became of them",
        ["outcome"],
        registry=registry,
    )
    inbox.on_ended(lambda outcome: files.labels(outcome).inc())
    for outcome in ("taken", "refused"):
        files.labels(outcome)
