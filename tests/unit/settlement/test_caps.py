"""Two cables at one site never earn more than the meter can explain; shares are exact."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.metering.reading import ReadingSource, SiteReading
from gridcord.settlement.caps import capped_discharge_wh, divided, explained_discharge_wh
from gridcord.units import SiteId
from tests.unit.settlement.cases import PERIOD, record, transfer


def reading(
    import_wh: int | None, export_wh: int | None, consumption_wh: int | None = None
) -> SiteReading:
    return SiteReading(
        site_id=SiteId("obis:4530303033"),
        period=PERIOD,
        source=ReadingSource.SMART_METER,
        import_wh=import_wh,
        export_wh=export_wh,
        consumption_wh=consumption_wh,
    )


def explained(reading: SiteReading, *, charged: int = 0, all_seen: bool = False) -> int | None:
    return explained_discharge_wh(
        reading=reading, charged_wh=charged, most_consumption_wh=1000, hems_sees_all=all_seen
    )


def test_what_a_meter_can_explain() -> None:
    assert explained(reading(0, 500)) == 1502
    assert explained(reading(800, 0)) == 202
    assert explained(reading(800, 0), charged=300) == 502
    assert explained(reading(2000, 0)) == 0
    assert explained(reading(None, 500)) is None
    assert explained(reading(0, None)) == 1002


def test_a_complete_energy_manager_narrows_it_a_partial_one_does_not() -> None:
    assert explained(reading(0, 500, 250), all_seen=True) == 752
    assert explained(reading(0, 500, 250)) == 1502


def test_the_same_energy_reported_by_two_cables_is_paid_once() -> None:
    one = transfer(record(discharged_wh=750), cable="cable-1")
    two = transfer(record(discharged_wh=750), cable="cable-2")
    paid = capped_discharge_wh(transfers=[one, two], cap_wh=751)
    assert paid == {one.key: 376, two.key: 375}
    assert capped_discharge_wh(transfers=[two, one], cap_wh=751) == paid
    assert capped_discharge_wh(transfers=[one, two], cap_wh=1500) == {one.key: 750, two.key: 750}


@settings(max_examples=2000, deadline=None)
@given(
    discharges=st.lists(st.integers(0, 10_000), min_size=1, max_size=6),
    import_wh=st.integers(0, 10_000),
    export_wh=st.integers(0, 10_000),
    charged=st.integers(0, 10_000),
)
def test_never_more_than_explained(
    discharges: list[int], import_wh: int, export_wh: int, charged: int
) -> None:
    transfers = [
        transfer(record(discharged_wh=each), cable=f"cable-{number}")
        for number, each in enumerate(discharges)
    ]
    cap_wh = explained(reading(import_wh, export_wh), charged=charged)
    assert cap_wh is not None
    paid = capped_discharge_wh(transfers=transfers, cap_wh=cap_wh)
    assert sum(paid.values()) == min(cap_wh, sum(discharges))
    for each in transfers:
        assert 0 <= paid[each.key] <= each.record.vehicle_to_site_wh


@settings(max_examples=2000)
@given(
    total=st.integers(-(10**12), 10**12),
    weights=st.dictionaries(st.text("abc", max_size=3), st.integers(0, 10**6), max_size=8),
)
def test_divided_exactly_and_fairly(total: int, weights: dict[str, int]) -> None:
    shares = divided(total=total, weights=weights)
    whole = sum(weights.values())
    assert sum(shares.values()) == (total if whole else 0)
    for name, share in shares.items():
        assert abs(share * whole - total * weights[name]) <= max(0, whole - 1)
    assert divided(total=total, weights=dict(reversed(weights.items()))) == shares
