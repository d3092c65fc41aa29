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
from tests.integration.cable_node.evening import DIVERTED, HONEST, ROUTE_B, Evening, evening
from tests.integration.cable_node.outlet import PERIOD_S, OutletPlan

# The evening is played once for the tests of both files, in one process.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("evening")]


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
