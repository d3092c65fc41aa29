"""The cable's figures are those of the moment they are asked for."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry

from cable_node.metrics import tell_figures
from cable_node.state import Grant, NodeState
from gridcord.metering.reading import Permission


@pytest.fixture
def node() -> tuple[NodeState, CollectorRegistry]:
    state = NodeState(grant=Grant(permission=Permission.CHARGE_ONLY))
    registry = CollectorRegistry()
    tell_figures(state, next_sequence=lambda: 8, registry=registry)
    return state, registry


def test_what_waits_for_the_manager(node: tuple[NodeState, CollectorRegistry]) -> None:
    state, registry = node
    assert registry.get_sample_value("gridcord_cable_waiting_entries") == 7
    state.committed_sequence = 7
    assert registry.get_sample_value("gridcord_cable_waiting_entries") == 0


def test_power_is_unknown_without_a_reading(node: tuple[NodeState, CollectorRegistry]) -> None:
    state, registry = node
    unread = registry.get_sample_value("gridcord_cable_power_watts")
    assert unread is not None
    assert math.isnan(unread)
    state.power_w = -1400
    assert registry.get_sample_value("gridcord_cable_power_watts") == -1400


def test_permission_session_and_instruments(node: tuple[NodeState, CollectorRegistry]) -> None:
    state, registry = node

    def may(permission: Permission) -> float | None:
        labels = {"permission": permission.value}
        return registry.get_sample_value("gridcord_cable_permission", labels)

    assert [may(each) for each in Permission] == [0, 0, 1, 0]
    state.grant = Grant(permission=Permission.NONE, reason="SITE_BLOCKED")
    assert [may(each) for each in Permission] == [1, 0, 0, 0]
    assert registry.get_sample_value("gridcord_cable_session_streaming") == 0
    state.session_state = "STREAMING"
    assert registry.get_sample_value("gridcord_cable_session_streaming") == 1
    state.instruments.update(meter="READING", contactor="LOST")
    assert registry.get_sample_value("gridcord_cable_instruments_lost") == 1
