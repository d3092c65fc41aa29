"""The market's money and payouts in a bundle follow from it, whoever derived everything again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gridcord.evidence.bundle import verify
from gridcord.settlement.account import Account, AccountKind
from gridcord.settlement.facts import Payout
from gridcord.units import Money, Price
from tests.unit.evidence.test_bundle import fault, rewritten
from tests.unit.evidence.town import LEFT_EARLY_WH, Town, replaced

Change = Callable[[Town], None]


def result(**changes: object) -> Change:
    """Another newest result, its share quoting it."""

    def change(town: Town) -> None:
        line = town.lines["market"][-1]
        town.lines["market"][-1] = replaced(line, result=replaced(line.result, **changes))

    return change


def share(**changes: object) -> Change:
    def change(town: Town) -> None:
        line = town.lines["shares"][-1]
        town.lines["shares"][-1] = replaced(line, share=replaced(line.share, **changes))

    return change


def figures(**changes: object) -> Change:
    def change(town: Town) -> None:
        of_area = town.lines["shares"][-1].share.figures
        share(figures=replaced(of_area, **changes))(town)

    return change


def expectation(place: int, **changes: object) -> Change:
    def change(town: Town) -> None:
        line = town.lines["expectations"][place]
        town.lines["expectations"][place] = replaced(line, **changes)

    return change


def payout(**changes: object) -> Change:
    def change(town: Town) -> None:
        line = town.lines["payouts"][0]
        town.lines["payouts"][0] = replaced(line, payout=replaced(line.payout, **changes))

    return change


def without(member: str, place: int = -1) -> Change:
    def change(town: Town) -> None:
        del town.lines[member][place]

    return change


def paid_for_nothing(town: Town) -> None:
    nobody = Payout(
        account=Account(AccountKind.DRIVER, "nobody"),
        month="2026-11",
        amount=Money.of("JPY", "0"),
        before_s=2_000_000_000,
    )
    last = town.lines["payouts"][-1]
    town.lines["payouts"].append(replaced(last, number=last.number + 1, payout=nobody))


@pytest.mark.parametrize(
    ("change", "member", "reason"),
    [
        (result(recorded_wh=1351), "market", "records give 1350 Wh"),
        (result(left_early_wh=124), "market", "125 Wh left early"),
        (result(revision=2), "market", "a revision is missing"),
        (result(imbalance_price=Price("JPY", 1)), "shares", "not those of the area"),
        (result(contracts=()), "market", "0 Wh left early"),  # the area is over, not short
        (without("market", 0), "market", "a revision is missing"),
        (without("market"), "shares", "not those of the area"),
        (expectation(0, power_w=-3000), "market", "250 Wh left early"),
        (expectation(0, area="kansai"), "market", "0 Wh left early"),
        (expectation(1, cable_id="cable-0"), "expectations", "a second one"),
        (without("expectations", 0), "market", "0 Wh left early"),
        (without("blocks"), "market", "250 Wh left early"),
        (share(deviation_wh=-124), "shares", "derived is -125 Wh"),
        (share(deviation_wh=0), "shares", "derived is -125 Wh"),
        (share(driver="driver-1"), "shares", "is of obis:0000/driver-0"),
        (share(record="cable-0/7/11"), "shares", "is of obis:0000/driver-0"),
        (share(site_id="obis:0001"), "shares", "is of obis:0000/driver-0"),
        (share(cable_id="cable-1"), "shares", "derived is 0 Wh"),
        (figures(deviation_wh=-151), "shares", "not those of the area"),
        (figures(digest="00" * 32), "shares", "not those of the area"),
        (figures(revision=0), "shares", "not those of the area"),
        (without("shares"), "shares", "no share is stated"),
        (payout(amount=Money.of("JPY", "135")), "payouts", "owed was 134"),
        (payout(amount=Money.of("USD", "134")), "payouts", "owed was 0"),
        (payout(before_s=1_795_431_600), "payouts", "owed was 98"),
        (paid_for_nothing, "payouts", "it pays nothing"),
    ],
)
def test_what_does_not_follow_is_named(
    change: Change, member: str, reason: str, tmp_path: Path
) -> None:
    town = Town()
    change(town)
    found = fault(rewritten(town, tmp_path))
    assert (found[0], reason in found[2]) == (member, True), found
    problem = verify(tmp_path / "town.zip").problem
    assert problem is not None
    assert problem.record, "it says what it is about"


def partial(town: Town) -> Town:
    """What a bundle of one site shows of it."""
    town.lines["market"].clear()
    return town


def test_a_share_is_derived_again_without_the_result(tmp_path: Path) -> None:
    town = partial(Town())
    report = rewritten(town, tmp_path)
    assert report.ok, report.problem
    assert (report.partial, report.hidden_results, report.complete) == (True, 2, False)
    account = "DRIVER:driver-0"
    own = [each for line in town.derived()["ledger"] for each in line.postings]  # type: ignore[attr-defined]
    imbalances = [
        each.micros for each in own if (each.account, each.purpose) == (account, "IMBALANCE")
    ]
    assert imbalances == [-30_100_000 * LEFT_EARLY_WH // 1000 * 40 // 100]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (share(deviation_wh=-124), "derived is -125 Wh"),
        (expectation(0, until_s=1_795_433_250), "derived is -62 Wh"),
        (figures(left_early_wh=124), "more than all who left early"),
        (figures(deviation_wh=150), "derived is 0 Wh"),
        (without("expectations", 0), "derived is 0 Wh"),
    ],
)
def test_without_the_result_too_a_share_must_follow(
    change: Change, reason: str, tmp_path: Path
) -> None:
    town = partial(Town())
    change(town)
    member, _, said = fault(rewritten(town, tmp_path))
    assert (member, reason in said) == ("shares", True), said


def test_drivers_are_shown_the_same_figures(tmp_path: Path) -> None:
    town = partial(Town())
    first = town.lines["shares"][0].share.figures
    share(figures=replaced(first, deviation_wh=-151))(town)
    assert "not those of the area" in fault(rewritten(town, tmp_path))[2]


def test_a_payout_of_which_the_time_was_not_kept_is_named(tmp_path: Path) -> None:
    town = Town()
    payout(before_s=None)(town)
    report = rewritten(town, tmp_path)
    assert report.ok
    assert report.unproven_payouts == ("payout:DRIVER:driver-0@2026-11",)
    assert not report.complete


def test_a_driver_who_turned_out_to_have_stayed_is_corrected(tmp_path: Path) -> None:
    """A share of nothing is stated only where one was stated before."""
    town = Town()
    first, last = town.lines["shares"]
    nothing = replaced(last, share=replaced(last.share, deviation_wh=0))
    for shares in ([first, nothing], [nothing]):
        town.lines["shares"] = list(shares)
        assert fault(rewritten(town, tmp_path))[0] == "shares"
