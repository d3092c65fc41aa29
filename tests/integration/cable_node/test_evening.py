"""The shipped cable node on byte-exact instruments, with a manager over mutual TLS."""

from __future__ import annotations

import pytest

from gridcord.api.types.v1 import types_pb2
from gridcord.metering.reading import ReadingQuality, ReadingSource, Verdict
from gridcord.metering.records import CableEventKind
from tests.integration.cable_node.evening import (
    DIVERTED,
    HONEST,
    ROUTE_B,
    START_S,
    Evening,
    evening,
)
from tests.integration.cable_node.outlet import PERIOD_S, POWER_W
from tests.system.invariants import i2_no_key_twice, i3_gapless, i7_registers_are_a_chain
from tests.system.stored import spans

# The evening is played once for the tests of both files, in one process.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("evening")]

WHOLE_WH = POWER_W * PERIOD_S // 3600


@pytest.fixture(scope="module")
def played() -> Evening:
    return evening()


@pytest.mark.parametrize("plan", [HONEST, DIVERTED, ROUTE_B])
def test_every_period_has_its_record(played: Evening, plan: object) -> None:
    transfers = played.transfers(plan)  # type: ignore[arg-type]
    starts = sorted({each.period.start_s for each in transfers})
    assert starts == list(range(START_S, starts[-1] + 1, PERIOD_S))
    assert len(starts) >= 3
    assert all(each.clock_state.value == "SYNCED" for each in transfers)
    assert all(each.position is not None for each in transfers[1:])


def test_a_whole_period_of_discharge_is_what_the_physics_say(played: Evening) -> None:
    whole = [
        each
        for each in played.transfers(HONEST)
        if each.quality is ReadingQuality.COMPLETE and each.period.start_s > START_S + PERIOD_S
    ]
    assert whole
    assert all(abs(each.transferred_wh + WHOLE_WH) <= 2 for each in whole), whole


def test_an_honest_house_is_matched_in_every_period_that_can_be_judged(played: Evening) -> None:
    verdicts = [each.match.verdict for each in played.observations(HONEST)]
    assert verdicts.count(Verdict.MATCHED) >= 2
    assert Verdict.MISMATCHED not in verdicts


def test_readings_of_meter_and_energy_manager_travel_with_the_verdict(played: Evening) -> None:
    for observed in played.observations(HONEST):
        sources = {reading.source for reading in observed.readings}
        assert sources == {ReadingSource.SMART_METER, ReadingSource.HEMS}


def test_a_route_b_meter_is_read_and_accuses_nobody(played: Evening) -> None:
    observations = played.observations(ROUTE_B)
    assert len(observations) >= 2
    for observed in observations:
        assert observed.match.verdict is not Verdict.MISMATCHED
        assert [reading.source for reading in observed.readings] == [ReadingSource.SMART_METER]
        assert observed.readings[0].step_wh == 1 or observed.readings[0].step_wh % 10 == 0


def test_the_contactor_opens_under_none(played: Evening) -> None:
    blocked = played.at(DIVERTED, "blocked")
    assert blocked.status.permission == types_pb2.PERMISSION_NONE
    assert not blocked.closed
    opened = played.events(DIVERTED, CableEventKind.CONTACTOR_OPENED)
    assert [each.detail for each in opened] == ["METER_MISMATCH"]


def test_power_against_charge_only_trips(played: Evening) -> None:
    tripped = played.at(HONEST, "tripped")
    assert not tripped.closed
    assert tripped.status.permission == types_pb2.PERMISSION_NONE
    trips = played.events(HONEST, CableEventKind.REVERSE_POWER_TRIPPED)
    assert f"-{POWER_W} W under CHARGE_ONLY" in [each.detail for each in trips]
    assert played.at(HONEST, "reset").closed


def test_overloaded_equipment_stops_transfer_here_and_at_the_manager(played: Evening) -> None:
    overloaded = played.at(HONEST, "overloaded")
    assert not overloaded.closed
    assert overloaded.status.permission_reason == "EQUIPMENT_LIMIT"
    assert overloaded.session is not None
    assert overloaded.session.permission == types_pb2.PERMISSION_NONE
    assert overloaded.session.permission_reason == "EQUIPMENT_LIMIT"
    told = [
        each.asset_loading.loading_percent
        for each in played.events(HONEST, CableEventKind.EQUIPMENT_LIMIT_REACHED)
        if each.asset_loading is not None
    ]
    assert told[:3] == [120.0, 50.0, -120.0]
    assert told[-1] == 50.0


def test_a_relief_is_told_so_that_the_manager_gives_back_what_it_withheld(played: Evening) -> None:
    relieved = played.at(HONEST, "relieved")
    assert relieved.closed
    assert relieved.session is not None
    assert relieved.session.permission == types_pb2.PERMISSION_BIDIRECTIONAL


def test_unplugging_closes_the_part_of_the_period(played: Evening) -> None:
    last = played.transfers(HONEST)[-1]
    assert last.final
    assert last.quality is ReadingQuality.PARTIAL
    assert last.connected_s < PERIOD_S
    assert played.events(HONEST, CableEventKind.UNPLUGGED)
    assert played.at(HONEST, "unplugged").status.committed_sequence_number > 0


def test_the_local_service_tells_the_state_of_every_instrument(played: Evening) -> None:
    status = played.at(HONEST, "matched").status
    assert dict(status.instrument_states) == dict.fromkeys(
        ("meter", "site_meter", "hems", "position", "contactor"), "READING"
    )
    assert status.cable_id == HONEST.cable_id
    assert status.HasField("permission_expire_time")
    assert status.recent_matches[0].transferred_wh < 0


def test_after_kill_9_numbers_and_registers_go_on(played: Evening) -> None:
    """I2, I3 and I7: what was not recorded before the kill is a declared gap, and nothing else."""
    store = played.stored
    assert store is not None
    chain = spans(store.entries)
    assert not i2_no_key_twice(store.entries)
    assert not i3_gapless(store.entries, store.cursors, store.lost)
    assert not i7_registers_are_a_chain(chain, store.gaps)
    assert {cable_id for cable_id, _ in store.gaps} <= {HONEST.cable_id}
    assert len(played.events(HONEST, CableEventKind.PLUGGED)) == 2
    assert played.at(HONEST, "restarted").session is not None


def test_nothing_was_doubted(played: Evening) -> None:
    """Signatures, fiscal records and values of all that instruments measured hold."""
    assert played.stored is not None
    assert played.stored.doubted == []
