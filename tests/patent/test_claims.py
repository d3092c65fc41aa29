"""Claims 1 to 17: which test shows what each one claims.

The numbering follows our reading of the features, in the order in which the patent's description
develops them; it is not the wording of the claims as granted. A feature that one function decides
is shown here; one that takes programs, instruments or time is shown where those are, and this
module sees to it that the test named exists and asserts something.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gridcord.metering.matching import MatchPolicy, MatchRule, MeteredSite, Moved
from gridcord.metering.reading import Permission, ReadingSource, SiteReading, Verdict
from gridcord.metering.records import AssetLoading
from gridcord.metering.verdict import StatedMatch, stated
from gridcord.settlement.earning import earning
from gridcord.settlement.schedule import Prices, Schedule
from gridcord.settlement.site_bill import site_bill
from gridcord.settlement.tariff import SiteTariff
from gridcord.units import Period, Position, Price, SiteId
from manager.domain.dispatch.allocation import Ranking, allocate
from manager.domain.dispatch.bounds import hard_bounds
from manager.domain.dispatch.fleet_state import fleet_state
from manager.domain.records.resource import ResourceState
from manager.domain.trust.block_rules import BlockPolicy, SiteFindings, blocks_for
from manager.domain.trust.permission import Granted, PermissionPolicy, permission
from manager.domain.trust.position_check import Fix, away
from manager.domain.trust.site import RegisteredSite, at_site
from manager.domain.trust.site_block import SiteBlock
from manager.domain.trust.site_judgement import PeriodFacts, judge
from tests.unit.settlement.cases import record, tariff, usd

TESTS = Path(__file__).resolve().parents[1]
SITE = SiteId("obis:4530303033")
HOME = Position(35.6, 139.7)
POLICY = PermissionPolicy()
FIRST = Period(1_795_419_000)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, as we read it, and tests that show it.

    Args:
        feature: What is claimed.
        tests: "file::test", the file below `tests`.
    """

    feature: str
    tests: tuple[str, ...]


_HERE = "patent/test_claims.py::"
_FIGURES_5_6 = "patent/test_figures_5_6.py::"
_FIGURE_8 = "patent/test_figure_8.py::"
_EVENING = "patent/test_figure_8.py::"
_SESSION = "integration/manager/test_cable_session.py::"
_BILL = "unit/settlement/test_site_bill.py::"
_ONCE = "system/test_exactly_once.py::"
CLAIMS = {
    1: Claim(
        "a cable between outlet and vehicle measures the energy of both directions, acquires what"
        " the site received, and determines whether the two match",
        (
            _FIGURE_8 + "test_s810_s812_a_half_hour_is_the_difference_of_registers",
            _FIGURE_8 + "test_s816_the_balance_decides",
        ),
    ),
    2: Claim(
        "the site's own consumption, told by its energy manager, enters the determination",
        (
            _FIGURES_5_6 + "test_figure_5_with_hems_received_falls_by_what_was_transmitted",
            _FIGURE_8 + "test_s814_with_an_energy_manager_received_and_consumed_are_acquired",
        ),
    ),
    3: Claim(
        "without one, the change of what is received against the time before decides",
        (
            _FIGURES_5_6 + "test_figure_5_meter_only_decrease_equals_transmitted",
            _FIGURES_5_6 + "test_figure_6_meter_only_no_decrease",
        ),
    ),
    4: Claim(
        "a mismatch is reported and the site is marked: non-permission information",
        (
            _FIGURE_8 + "test_s820_a_mismatch_is_reported_with_what_is_missing",
            _HERE + "test_claim_4_a_mismatch_marks_the_site",
        ),
    ),
    5: Claim(
        "before anything flows the cable identifies the site and receives permission information",
        (
            _FIGURE_8 + "test_s802_the_site_is_identified_by_its_own_meter_and_told",
            _FIGURE_8 + "test_s806_no_nothing_flows_and_the_reason_is_told",
            "patent/test_figure_7.py::test_the_next_session_at_a_flagged_site_opens_with_the_limit",
        ),
    ),
    6: Claim(
        "what is withheld may be everything, discharge, or charge beyond a state of charge",
        (_HERE + "test_claim_6_what_is_withheld_has_degrees",),
    ),
    7: Claim(
        "at the end, the part of the half hour is measured and told",
        (
            _FIGURE_8 + "test_s822_the_part_of_a_period_is_closed_when_the_vehicle_leaves",
            _FIGURE_8 + "test_s822_and_when_the_manager_ends_the_session",
        ),
    ),
    8: Claim(
        "the cable's position is compared with the registered position of the site",
        (
            _HERE + "test_claim_8_the_position_is_compared_with_the_registered_one",
            _FIGURE_8 + "test_s802_where_the_cable_is_is_told_too",
        ),
    ),
    9: Claim(
        "equipment information: what feeds the site is loaded, and transfer that adds to it stops",
        (
            _HERE + "test_claim_9_loaded_equipment_withholds_the_direction_that_adds_to_it",
            _EVENING + "test_overloaded_equipment_stops_transfer_here_and_at_the_manager",
        ),
    ),
    10: Claim(
        "a management server receives site identification, and answers with permission information",
        (
            _SESSION + "test_entries_are_stored_once_and_the_next_session_goes_on",
            _HERE + "test_claim_10_a_site_that_is_not_identified_may_not_feed_in",
        ),
    ),
    11: Claim(
        "the server determines anew, from the utility's readings over all cables of the site",
        (_HERE + "test_claim_11_the_server_matches_with_the_utilitys_readings",),
    ),
    12: Claim(
        "the user's reward: a basic part for being connected, a variable part for the energy",
        (
            _HERE + "test_claim_12_the_reward_has_a_basic_and_a_variable_part",
            "patent/test_figure_4.py::test_reward_of_a_half_hour",
        ),
    ),
    13: Claim(
        "the site's bill is net of what went through cables",
        (
            _HERE + "test_claim_13_the_site_pays_for_itself_alone",
            _BILL + "test_for_any_guest_the_bill_is_that_of_the_house_alone",
        ),
    ),
    14: Claim(
        "what vehicles can give and take is offered to a market in periods of 30 minutes",
        ("unit/market_adapter/test_desk.py::test_a_day_of_trade_from_bid_to_demand",),
    ),
    15: Claim(
        "the server instructs vehicles, charging and discharging devices and stationary batteries",
        (_HERE + "test_claim_15_every_kind_of_resource_serves_the_contract",),
    ),
    16: Claim(
        "what flowed through cables is told to the utility",
        ("unit/utility_adapter/test_transfers.py::test_saying_it_twice_changes_nothing",),
    ),
    17: Claim(
        "what is transferred is stored with cable, site, driver and period, once",
        (
            _ONCE + "test_a_burst_survives_kills_a_bad_network_and_an_older_backup",
            _EVENING + "test_every_period_has_its_record",
        ),
    ),
}


@pytest.mark.parametrize("number", range(1, 18))
def test_a_claim_is_shown_by_tests_that_exist_and_assert(number: int) -> None:
    claim = CLAIMS[number]
    assert claim.feature
    assert claim.tests
    for name in claim.tests:
        file, _, function = name.partition("::")
        tests = _tests(TESTS / file)
        assert function in tests, f"claim {number}: there is no {name}"
        assert tests[function], f"claim {number}: {name} asserts nothing"


def _tests(path: Path) -> dict[str, bool]:
    """The tests of a file, and whether each asserts something, itself or by a function it calls."""
    functions = {
        node.name: node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return {
        name: _asserts(node, functions, frozenset({name}))
        for name, node in functions.items()
        if name.startswith("test_")
    }


def _asserts(node: ast.AST, functions: Mapping[str, ast.AST], seen: frozenset[str]) -> bool:
    for each in ast.walk(node):
        if isinstance(each, ast.Assert) or (
            isinstance(each, ast.Attribute) and each.attr == "raises"
        ):
            return True
        called = each.id if isinstance(each, ast.Name) else ""
        fresh = called in functions and called not in seen
        if fresh and _asserts(functions[called], functions, seen | {called}):
            return True
    return False


def granted(
    *, identified: bool = True, blocks: tuple[SiteBlock, ...] = (), loading_percent: float = 0.0
) -> Granted:
    loading = AssetLoading(
        asset_id="transformer-1", loading_percent=loading_percent, rated_va=50_000, measured_s=0.0
    )
    return permission(
        site_identified=identified,
        blocks=blocks,
        clone_suspected=False,
        loadings=[loading],
        policy=POLICY,
    )


def mark(
    match: StatedMatch | None = None,
    *,
    inside: bool | None = None,
    withheld: Permission = Permission.NONE,
) -> tuple[SiteBlock, ...]:
    fix = Fix(cable_id="cable", site_id=SITE, position=HOME, at_s=0)
    doubts = away([fix], placed={"cable": inside}, registered=HOME)
    findings = SiteFindings(site_id=SITE, match=match, doubts=tuple(doubts))
    policy = BlockPolicy(mismatched=withheld, location_mismatched=withheld)
    return tuple(blocks_for(findings=findings, existing=[], policy=policy, now_s=0))


MISMATCHED = StatedMatch(verdict=Verdict.MISMATCHED, reason="CHANGE_NOT_SEEN", sentence="it stood")
MATCHED = StatedMatch(verdict=Verdict.MATCHED, reason="CHANGE_SEEN")


def test_claim_4_a_mismatch_marks_the_site() -> None:
    (block,) = mark(MISMATCHED)
    assert (block.site_id, block.permission, block.reason) == (SITE, Permission.NONE, "it stood")
    assert mark(MATCHED) == ()
    assert granted(blocks=(block,)).permission is Permission.NONE


@pytest.mark.parametrize(
    "withheld", [Permission.NONE, Permission.CHARGE_ONLY, Permission.CHARGE_TO_SOC]
)
def test_claim_6_what_is_withheld_has_degrees(withheld: Permission) -> None:
    told = granted(blocks=mark(MISMATCHED, withheld=withheld))
    assert told.permission is withheld
    to_soc = POLICY.charge_to_percent if withheld is Permission.CHARGE_TO_SOC else None
    assert told.charge_to_percent == to_soc


@pytest.mark.parametrize(
    ("found", "inside", "permitted"),
    [
        pytest.param(HOME, True, Permission.BIDIRECTIONAL, id="at the site"),
        pytest.param(Position(35.65, 139.73), False, Permission.NONE, id="elsewhere"),
    ],
)
def test_claim_8_the_position_is_compared_with_the_registered_one(
    found: Position, inside: bool, permitted: Permission
) -> None:
    registered = RegisteredSite(site_id=SITE, position=HOME)
    assert at_site(registered=registered, found=found, tolerance_m=250.0) is inside
    assert granted(blocks=mark(inside=inside)).permission is permitted


@pytest.mark.parametrize(
    ("percent", "permitted"),
    [
        (99.0, Permission.BIDIRECTIONAL),
        (100.0, Permission.NONE),
        (-99.0, Permission.BIDIRECTIONAL),
        (-100.0, Permission.CHARGE_ONLY),
    ],
)
def test_claim_9_loaded_equipment_withholds_the_direction_that_adds_to_it(
    percent: float, permitted: Permission
) -> None:
    assert granted(loading_percent=percent).permission is permitted


def test_claim_10_a_site_that_is_not_identified_may_not_feed_in() -> None:
    assert granted(identified=True).permission is Permission.BIDIRECTIONAL
    assert granted(identified=False).permission is Permission.CHARGE_ONLY


@pytest.mark.parametrize(
    ("import_wh", "verdict"), [(250, Verdict.MATCHED), (1000, Verdict.MISMATCHED)]
)
def test_claim_11_the_server_matches_with_the_utilitys_readings(
    import_wh: int, verdict: Verdict
) -> None:
    """Two cables gave 0.75 kWh together; only the utility's reading is at hand."""
    facts = [
        PeriodFacts(
            period=FIRST.next(number),
            moved=Moved(transferred_wh),
            utility=SiteReading(
                site_id=SITE,
                period=FIRST.next(number),
                source=ReadingSource.UTILITY,
                import_wh=value_wh,
                export_wh=0,
            ),
            meter=None,
            hems=None,
            session=session,
        )
        for number, (transferred_wh, value_wh, session) in enumerate(
            [(0, 1000, None), (-500 - 250, import_wh, 1)]
        )
    ]
    judgement = judge(
        matcher=None,
        site=MeteredSite(),
        facts=facts,
        learn_before_s=0,
        policy=MatchPolicy(rule=MatchRule.PATENT, difference_wh=100),
    )
    ((_, match),) = judgement.matches
    assert stated(match).verdict is verdict


def test_claim_12_the_reward_has_a_basic_and_a_variable_part() -> None:
    earned = earning(record=record(discharged_wh=750), tariff=tariff("0.20"))
    assert (earned.availability, earned.energy) == (usd("1"), usd("0.15"))


def test_claim_13_the_site_pays_for_itself_alone() -> None:
    prices = Prices(taken=Price.per_kwh("USD", "0.30"), given=Price.per_kwh("USD", "0.08"))
    bill = site_bill(
        reading=SiteReading(
            site_id=SITE, period=FIRST, source=ReadingSource.UTILITY, import_wh=0, export_wh=250
        ),
        charged_wh=0,
        discharged_wh=750,
        tariff=SiteTariff(tariff_id="home", version=1, schedule=Schedule(zone="UTC", base=prices)),
    )
    assert bill is not None
    assert (bill.own_wh, bill.host) == (500, usd("0.15"))


def test_claim_15_every_kind_of_resource_serves_the_contract() -> None:
    """A vehicle, a station and a stationary battery; nobody is asked for what a driver keeps."""

    def resource(name: str, *, soc_percent: float, limit_w: int) -> ResourceState:
        return ResourceState(
            resource_id=name,
            area_id="3",
            permission=Permission.BIDIRECTIONAL,
            transfer_permitted=True,
            power_w=0,
            charge_limit_w=limit_w,
            discharge_limit_w=limit_w,
            soc_percent=soc_percent,
            capacity_wh=40_000,
            reserve_percent=30.0,
        )

    fleet = [
        resource("vehicle", soc_percent=80.0, limit_w=1_500),
        resource("station", soc_percent=80.0, limit_w=6_000),
        resource("battery", soc_percent=80.0, limit_w=3_000),
        resource("empty-vehicle", soc_percent=30.0, limit_w=1_500),
    ]
    served = allocate(
        target_w=-9_000,
        bounds=hard_bounds(
            fleet=fleet_state(fleet, numbers=range(len(fleet))), now_s=0.0, horizon_s=1_800.0
        ),
        ranking=Ranking.equal(len(fleet)),
    )
    assert int(served.setpoint_w.sum()) == -9_000
    assert served.unserved_w == 0
    vehicle, station, battery, empty_vehicle = served.setpoint_w.tolist()
    assert empty_vehicle == 0
    assert max(vehicle, station, battery) < 0
