"""The cable's figures for Prometheus; `docs/operating.md` says what to alert on."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from prometheus_client import REGISTRY, CollectorRegistry, Gauge

from cable_node.state import NodeState
from gridcord.chassis.metrics import tell
from gridcord.metering.reading import Permission


def tell_figures(
    state: NodeState,
    *,
    next_sequence: Callable[[], int],
    registry: CollectorRegistry = REGISTRY,
) -> None:
    """Have the figures of a node read whenever they are asked for.

    Args:
        state: Of the node.
        next_sequence: The number that the next journal entry will get.
        registry: Where the figures are kept.
    """
    figures: dict[str, tuple[str, Callable[[], float]]] = {
        "waiting_entries": (
            "Journal entries that the manager has not confirmed",
            lambda: next_sequence() - 1 - state.committed_sequence,
        ),
        "power_watts": (
            "Power through the cable, + charging; NaN while the meter does not answer",
            lambda: math.nan if state.power_w is None else state.power_w,
        ),
        "contactor_closed": ("1 while current can flow", lambda: state.contactor_closed),
        "session_streaming": (
            "1 while the session with the manager streams",
            lambda: state.session_state == "STREAMING",
        ),
        "instruments_lost": (
            "Instruments that do not answer",
            lambda: sum(each == "LOST" for each in state.instruments.values()),
        ),
    }
    for name, (documentation, value) in figures.items():
        tell(f"gridcord_cable_{name}", documentation, value, registry=registry)
    permission = Gauge(
        "gridcord_cable_permission",
        "1 at what may flow now, 0 at everything else",
        ["permission"],
        registry=registry,
    )
    for each in Permission:
        permission.labels(each.value).set_function(partial(_holds, state, each))


def _holds(state: NodeState, permission: Permission) -> float:
    return state.grant.permission is permission
