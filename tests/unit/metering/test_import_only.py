"""A meter without export register: what it hides accuses nobody, and hides no thief either."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from gridcord.metering.matching import Finding, MeteredSite, SitePeriod
from gridcord.units import Period
from tests.unit.metering.site_months import FIRST_DAY_S, Month, findings


def import_only(house: Callable[[Random, int], float], *, arrives: float, meter: bool) -> Month:
    """Four weeks of history and a month behind a meter without export register.

    Args:
        house: Net of an idle half hour of a day, Wh.
        arrives: Share of a discharge (18 to 20:30) that reaches this circuit.
        meter: The meter is that of the circuit; else it sees nothing of the cable, charging (1 to
            3:30) included.
    """
    rng, periods = Random("import only"), list[SitePeriod]()
    for n in range(58 * 48):
        cable = {2: 750, 3: 750, 4: 750, 5: 750, 6: 750}.get(n % 48, 0)
        cable = -750 if 36 <= n % 48 < 41 else cable
        cable = cable if n >= 28 * 48 and n // 48 % 4 else 0
        seen = cable * (arrives if cable < 0 else 1.0) if meter else 0.0
        periods.append(
            SitePeriod(
                period=Period(FIRST_DAY_S + n * 1800),
                transferred_wh=cable,
                import_wh=max(0, round(house(rng, n % 48) + seen)),
                session=n // 48 if cable else None,
            )
        )
    return Month(history=periods[: 28 * 48], judged=periods[28 * 48 :])


def quiet(rng: Random, _slot: int) -> float:
    """Usually 50 Wh, nothing in three half hours of ten (a vacant flat, a register that sleeps)."""
    return 0.0 if rng.random() < 0.3 else 50 * rng.lognormvariate(0, 0.4)


def always_hidden(rng: Random, _slot: int) -> float:
    """A battery behind the meter covers whatever happens, up to 2 kW."""
    return -rng.uniform(800, 1500)


def sometimes_hidden(rng: Random, slot: int) -> float:
    """A roof on clear days until 19:00, the house alone on the others and at night."""
    return 60 + 200 * rng.random() - (900 if 16 <= slot < 38 and rng.random() < 0.7 else 0)


@pytest.mark.parametrize(
    ("house", "arrives", "meter"),
    [(quiet, 0.0, True), (quiet, 1.0, False), (sometimes_hidden, 0.0, True),
     (sometimes_hidden, 1.0, False)],
)  # fmt: skip
def test_a_house_that_often_shows_nothing_still_shows_what_does_not_arrive(
    house: Callable[[Random, int], float], arrives: float, meter: bool
) -> None:
    site = MeteredSite(has_export=False)
    assert Finding.MISMATCH in findings(site, import_only(house, arrives=arrives, meter=meter))


@pytest.mark.parametrize("house", [quiet, always_hidden, sometimes_hidden])
def test_who_shows_nothing_because_of_a_surplus_is_not_accused(
    house: Callable[[Random, int], float],
) -> None:
    said = findings(MeteredSite(has_export=False), import_only(house, arrives=1.0, meter=True))
    assert {Finding.MISMATCH, Finding.SUSPECT}.isdisjoint(said)


def test_a_meter_that_never_shows_anything_tells_nothing() -> None:
    hidden = import_only(lambda _rng, _slot: 0.0, arrives=1.0, meter=False)
    assert set(findings(MeteredSite(has_export=False), hidden)) == {Finding.UNDECIDED}
