"""Only who leaves before the driver had said deviates, by the cable's own records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridcord.metering.reading import ClockState
from gridcord.settlement.departure import (
    Departure,
    Expectation,
    Withholding,
    departure,
    same_way,
)
from gridcord.settlement.transfer import Transfer
from tests.unit.settlement.cases import PERIOD, record, transfer

COUNTED_ON = Expectation(
    cable_id="cable-34", area="3", period=PERIOD, power_w=-1500, until_s=PERIOD.end_s
)
SITE = record().site_id


def ended(at: int, *, start: int = 0, sequence: int = 1, final: bool = True) -> Transfer:
    """A record from a second of the period to another, by default the last of its session."""
    return transfer(replace(record(start=start, end=at), final=final), sequence=sequence)


def deviation_wh(
    *transfers: Transfer,
    expectation: Expectation = COUNTED_ON,
    withheld: tuple[Withholding, ...] = (),
) -> int | None:
    found = departure(expectation=expectation, transfers=transfers, withheld=withheld)
    return None if found is None else found.deviation_wh


@pytest.mark.parametrize(("at", "wh"), [(1799, None), (1740, -25), (900, -375), (1, -750)])
def test_who_leaves_early_lacks_what_it_was_counted_on_for_from_then(
    at: int, wh: int | None
) -> None:
    assert deviation_wh(ended(at)) == wh


def test_who_was_to_charge_and_leaves_takes_less() -> None:
    charging = replace(COUNTED_ON, power_w=600)
    assert deviation_wh(ended(900), expectation=charging) == 150


def test_who_stays_plugged_in_never_deviates() -> None:
    """Blocked, full, stopped, refusing: whatever it does, it is there."""
    assert deviation_wh(ended(1800, final=False)) is None
    assert deviation_wh(ended(1800)) is None


def test_who_leaves_when_its_driver_had_said_keeps_its_word() -> None:
    said = replace(COUNTED_ON, until_s=PERIOD.start_s + 900)
    assert deviation_wh(ended(900), expectation=said) is None
    assert deviation_wh(ended(1000), expectation=said) is None
    assert deviation_wh(ended(780), expectation=said) == -50


def test_who_comes_back_is_there() -> None:
    back = ended(1800, start=700, sequence=2, final=False)
    assert deviation_wh(ended(600), back) is None
    again = ended(1200, start=700, sequence=2)
    assert deviation_wh(again, ended(600)) == -250


def test_who_has_not_told_did_not_leave() -> None:
    assert deviation_wh() is None
    unknown = replace(ended(600).record, clock_state=ClockState.UNKNOWN)
    assert deviation_wh(transfer(unknown)) is None


@pytest.mark.parametrize(
    ("start", "end", "cable", "site", "deviates"),
    [
        (0, None, "", SITE, False),
        (0, 901, "cable-34", SITE, False),
        (0, 900, "", SITE, True),  # lifted by then
        (901, None, "", SITE, True),  # after it had left
        (0, None, "cable-35", SITE, True),
        (0, 1800, "cable-34", "", False),  # its session was ended, wherever it was
        (0, 1800, "cable-35", "", True),
        (0, None, "", "obis:45", True),
    ],
)
def test_who_leaves_while_something_is_withheld_does_not_deviate(
    start: int, end: int | None, cable: str, site: str, deviates: bool
) -> None:
    block = Withholding(
        site_id=site,
        cable_id=cable,
        start_s=PERIOD.start_s + start,
        end_s=None if end is None else PERIOD.start_s + end,
    )
    assert (deviation_wh(ended(900), withheld=(block,)) is not None) == deviates


def test_only_those_who_deviate_like_their_area_matter() -> None:
    short, over = (
        Departure(transfer=ended(900, sequence=n), deviation_wh=wh)
        for n, wh in enumerate((-300, 200), 1)
    )
    assert same_way([over, short], deviation_wh=-100) == [short]
    assert same_way([over, short], deviation_wh=100) == [over]
    assert same_way([over, short], deviation_wh=0) == []
