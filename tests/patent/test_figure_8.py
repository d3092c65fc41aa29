"""Figure 8 of the patent: what the cable does from plugging in to the end, branch by branch.

The shipped cable node runs against byte-exact instruments of three simulated houses and a real
manager; the evening is played once (`tests/integration/cable_node/evening.py`).

    S802 identify the site          S814 acquire the site's values
    S804 ask for permission         S816 do they match what was transmitted?
    S806 is it given?               S818 record the match
    S808 has the end come?          S820 report the mismatch
    S810 measure                    S822 close the part of a period at the end
    S812 close the half hour
"""

from __future__ import annotations

from itertools import pairwise

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
from tests.integration.cable_node.outlet import PERIOD_S, POWER_W, OutletPlan
from tests.system.invariants import i2_no_key_twice, i3_gapless, i7_registers_are_a_chain
from tests.system.stored import spans

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WHOLE_WH = POWER_W * PERIOD_S // 3600


@pytest.fixture(scope="module")
def played() -> Evening:
    return evening()


@pytest.mark.parametrize("plan", [HONEST, DIVERTED, ROUTE_B])
def test_s802_the_site_is_identified_by_its_own_meter_and_told(
    played: Evening, plan: OutletPlan
) -> None:
    moment = played.at(plan, "identified")
    assert moment.status.site_id == plan.site_id
    assert moment.session is not None
    assert moment.session.site_id == plan.site_id


def test_s802_where_the_cable_is_is_told_too(played: Evening) -> None:
    position = played.transfers(HONEST)[-1].position
    assert position is not None
    assert (round(position.latitude_deg, 3), round(position.longitude_deg, 3)) == (35.6, 139.7)


def test_s804_permission_is_asked_for_and_comes_as_a_lease(played: Evening) -> None:
    status = played.at(HONEST, "identified").status
    assert status.permission == types_pb2.PERMISSION_BIDIRECTIONAL
    assert status.permission_expire_time.seconds > status.measure_time.seconds


def test_s806_yes_the_vehicle_may_discharge(played: Evening) -> None:
    moment = played.at(HONEST, "discharging")
    assert moment.closed
    assert moment.status.power_w < 0


def test_s806_no_nothing_flows_and_the_reason_is_told(played: Evening) -> None:
    moment = played.at(DIVERTED, "blocked")
    assert moment.status.permission == types_pb2.PERMISSION_NONE
    assert moment.status.permission_reason == "METER_MISMATCH"
    assert not moment.closed
    later = [each for each in played.transfers(DIVERTED) if each.start_s > moment.at_s]
    assert later
    assert all(each.transferred_wh == 0 for each in later)


def test_s808_no_end_one_half_hour_follows_the_other(played: Evening) -> None:
    starts = [each.period.start_s for each in played.transfers(DIVERTED)]
    assert all(after - before == PERIOD_S for before, after in pairwise(starts))


def test_s808_the_end_comes_from_the_manager(played: Evening) -> None:
    assert played.at(ROUTE_B, "ended").session is None
    assert played.transfers(ROUTE_B)[-1].final


def test_s810_s812_a_half_hour_is_the_difference_of_registers(played: Evening) -> None:
    for record in played.transfers(HONEST):
        taken = record.site_to_vehicle_end_wh - record.site_to_vehicle_start_wh
        given = record.vehicle_to_site_end_wh - record.vehicle_to_site_start_wh
        assert record.transferred_wh == taken - given
    whole = [e for e in played.transfers(HONEST) if e.quality is ReadingQuality.COMPLETE]
    assert whole
    assert all(each.connected_s == PERIOD_S for each in whole)


def test_s814_with_an_energy_manager_received_and_consumed_are_acquired(played: Evening) -> None:
    observed = played.observations(HONEST)[-1]
    by_source = {reading.source: reading for reading in observed.readings}
    assert by_source[ReadingSource.SMART_METER].import_wh is not None
    assert by_source[ReadingSource.SMART_METER].export_wh is not None
    assert by_source[ReadingSource.HEMS].consumption_wh is not None


def test_s814_without_one_the_smart_meter_alone_is_read(played: Evening) -> None:
    sources = [[r.source for r in each.readings] for each in played.observations(ROUTE_B)]
    assert sources
    assert all(each == [ReadingSource.SMART_METER] for each in sources)


def test_s816_the_balance_decides(played: Evening) -> None:
    matched = next(e for e in played.observations(HONEST) if e.match.verdict is Verdict.MATCHED)
    values = {reading.source: reading for reading in matched.readings}
    meter, hems = values[ReadingSource.SMART_METER], values[ReadingSource.HEMS]
    assert meter.import_wh is not None
    assert meter.export_wh is not None
    assert hems.consumption_wh is not None
    balance = meter.import_wh - meter.export_wh - hems.consumption_wh - matched.transferred_wh
    assert abs(balance) <= 100  # three instruments on a fast clock; the figure allows 200


def test_s818_a_match_is_recorded_and_told_on_the_spot(played: Evening) -> None:
    assert [e for e in played.observations(HONEST) if e.match.verdict is Verdict.MATCHED]
    told = played.at(HONEST, "matched").status.recent_matches[0].match
    assert told.verdict == types_pb2.MATCH_VERDICT_MATCHED
    assert told.sentence


def test_s820_a_mismatch_is_reported_with_what_is_missing(played: Evening) -> None:
    mismatched = [e for e in played.observations(DIVERTED) if e.match.verdict is Verdict.MISMATCHED]
    assert mismatched
    for each in mismatched:
        assert each.match.reason == "BALANCE_BROKEN"
        assert f"{-each.transferred_wh / 1000:.2f}" in each.match.sentence


def test_s820_the_manager_withholds_from_then_on(played: Evening) -> None:
    session = played.at(DIVERTED, "blocked").session
    assert session is not None
    assert session.permission == types_pb2.PERMISSION_NONE


def test_s822_the_part_of_a_period_is_closed_when_the_vehicle_leaves(played: Evening) -> None:
    last = played.transfers(HONEST)[-1]
    assert last.final
    assert 0 < last.connected_s < PERIOD_S
    assert last.transferred_wh < 0
    assert played.events(HONEST, CableEventKind.UNPLUGGED)


def test_s822_and_when_the_manager_ends_the_session(played: Evening) -> None:
    last = played.transfers(ROUTE_B)[-1]
    assert last.final
    assert last.connected_s < PERIOD_S


# What else the evening shows.


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
