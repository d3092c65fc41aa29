"""The house never pays for the guest."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.metering.reading import ReadingSource, SiteReading
from gridcord.settlement.schedule import Prices, Schedule
from gridcord.settlement.site_bill import net_price, site_bill
from gridcord.settlement.tariff import SiteTariff
from gridcord.units import Period, Price, SiteId
from tests.unit.settlement.cases import PERIOD, usd


def site_tariff(taken: str = "0.30", given_: str = "0.08") -> SiteTariff:
    prices = Prices(taken=Price.per_kwh("USD", taken), given=Price.per_kwh("USD", given_))
    return SiteTariff(tariff_id="home", version=1, schedule=Schedule(zone="UTC", base=prices))


def reading(
    import_wh: int | None, export_wh: int | None = 0, *, period: Period = PERIOD
) -> SiteReading:
    return SiteReading(
        site_id=SiteId("obis:4530303033"),
        period=period,
        source=ReadingSource.UTILITY,
        import_wh=import_wh,
        export_wh=export_wh,
    )


@pytest.mark.parametrize(
    ("import_wh", "export_wh", "charged_wh", "discharged_wh", "own_wh", "host", "guest"),
    [
        pytest.param(500, 0, 0, 0, 500, "0.15", "0", id="no guest"),
        pytest.param(0, 250, 0, 750, 500, "0.15", "-0.17", id="guest discharges, meter exports"),
        pytest.param(950, 0, 450, 0, 500, "0.15", "0.135", id="guest charges"),
        pytest.param(0, 1000, 0, 750, -250, "-0.02", "-0.06", id="a house that gives by itself"),
        pytest.param(200, 0, 450, 0, -250, "-0.02", "0.08", id="guest charges from the roof"),
    ],
)
def test_a_half_hour(
    import_wh: int,
    export_wh: int,
    charged_wh: int,
    discharged_wh: int,
    own_wh: int,
    host: str,
    guest: str,
) -> None:
    bill = site_bill(
        reading=reading(import_wh, export_wh),
        charged_wh=charged_wh,
        discharged_wh=discharged_wh,
        tariff=site_tariff(),
    )
    assert bill is not None
    assert (bill.own_wh, bill.host, bill.guest) == (own_wh, usd(host), usd(guest))
    assert bill.exact


def test_without_import_there_is_no_bill() -> None:
    missing = site_bill(reading=reading(None), charged_wh=0, discharged_wh=0, tariff=site_tariff())
    assert missing is None


def test_an_unseen_surplus_is_not_billed() -> None:
    bill = site_bill(
        reading=reading(0, None), charged_wh=0, discharged_wh=750, tariff=site_tariff()
    )
    assert bill is not None
    assert not bill.exact
    assert bill.host == usd("0")


WH = st.integers(0, 5_000)
ZERO = Fraction(0)


@settings(max_examples=3000, deadline=None)
@given(
    consumption=WH,
    generation=WH,
    charged=WH,
    discharged=WH,
    taken=st.integers(0, 10**6),
    given_=st.integers(-(10**5), 10**6),
)
def test_for_any_guest_the_bill_is_that_of_the_house_alone(
    consumption: int, generation: int, charged: int, discharged: int, taken: int, given_: int
) -> None:
    prices = Prices(taken=Price("USD", taken), given=Price("USD", given_))
    own = SiteTariff(tariff_id="home", version=1, schedule=Schedule(zone="UTC", base=prices))
    with_guest = consumption - generation + charged - discharged
    metered = reading(max(0, with_guest), max(0, -with_guest))
    bill = site_bill(reading=metered, charged_wh=charged, discharged_wh=discharged, tariff=own)
    alone = consumption - generation
    without_guest = site_bill(
        reading=reading(max(0, alone), max(0, -alone)), charged_wh=0, discharged_wh=0, tariff=own
    )
    assert bill is not None
    assert without_guest is not None
    assert bill.host == without_guest.host
    assert without_guest.guest.micros == 0
    assert bill.metered == net_price(with_guest, prices)


@settings(max_examples=200, deadline=None)
@given(
    profile=st.lists(
        st.tuples(*[st.fractions(0, 900, max_denominator=1000)] * 3), min_size=1, max_size=24
    )
)
def test_truncated_registers_cost_a_watt_hour_a_register_and_do_not_add_up(
    profile: list[tuple[Fraction, Fraction, Fraction]],
) -> None:
    """Registers drop what is below 1 Wh: the sum over any time is off by that, not by more."""
    own = site_tariff("1", "1")
    imported = exported = charged = discharged = house = ZERO
    billed = 0
    for number, (load, charge, discharge) in enumerate(profile):
        before = [int(each) for each in (imported, exported, charged, discharged)]
        net = load + charge - discharge
        imported, exported = imported + max(net, ZERO), exported + max(-net, ZERO)
        charged, discharged, house = charged + charge, discharged + discharge, house + load
        after = [int(each) for each in (imported, exported, charged, discharged)]
        delta = [last - first for first, last in zip(before, after, strict=True)]
        bill = site_bill(
            reading=reading(delta[0], delta[1], period=PERIOD.next(number)),
            charged_wh=delta[2],
            discharged_wh=delta[3],
            tariff=own,
        )
        assert bill is not None
        assert abs(Fraction(bill.host.micros, 1000) - load) < 4
        billed += bill.host.micros
    assert abs(Fraction(billed, 1000) - house) < 2
