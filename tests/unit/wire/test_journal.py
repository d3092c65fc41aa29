"""Journal entries survive the wire, and no bytes crash it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.metering.reading import (
    ClockState,
    ReadingQuality,
    ReadingSource,
    SiteReading,
    Verdict,
)
from gridcord.metering.records import (
    AssetLoading,
    CableEvent,
    CableEventKind,
    JournalEntry,
    ProofOutcome,
    ProofRecord,
    SiteObservation,
    TransferRecord,
)
from gridcord.metering.verdict import StatedMatch
from gridcord.units import Period, Position, SiteId
from gridcord.wire.journal import entry_from_bytes, entry_to_bytes
from gridcord.wire.values import WireError

SITE = SiteId("obis:4530303033")
ids = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True)
wh = st.integers(0, 10**12)


def texts(most: int) -> st.SearchStrategy[str]:
    """What may be told: any text without NUL."""
    return st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=most)


periods = st.builds(
    lambda n, length: Period(n * length, length),
    st.integers(1_100_000, 2_000_000),
    st.sampled_from([900, 1800]),
)
positions = st.builds(
    Position,
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.none() | st.floats(0, 1e5),
    st.none() | st.integers(1_600_000_000, 1_700_000_000).map(float),
)
matches = st.builds(
    StatedMatch,
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from(["NO_READING", "BALANCE_HOLDS"]),
    sentence=texts(80),
    expected_change_wh=st.none() | st.integers(-(10**6), 10**6),
    observed_change_wh=st.none() | st.integers(-(10**6), 10**6),
    uncertainty_wh=st.none() | wh,
    evidence_nats=st.none() | st.floats(-100, 100),
    suspect=st.booleans(),
    fault=st.booleans(),
)


@st.composite
def transfers(draw: st.DrawFn) -> TransferRecord:
    period = draw(periods)
    start, end = sorted(
        draw(st.lists(st.integers(0, period.length_s), min_size=2, max_size=2, unique=True))
    )
    charge, discharge = draw(wh), draw(wh)
    return TransferRecord(
        period=period,
        start_s=period.start_s + start,
        end_s=period.start_s + end,
        site_to_vehicle_start_wh=charge,
        site_to_vehicle_end_wh=charge + draw(st.integers(0, 10**6)),
        vehicle_to_site_start_wh=discharge,
        vehicle_to_site_end_wh=discharge + draw(st.integers(0, 10**6)),
        step_wh=draw(st.sampled_from([1, 10, 100, 1000])),
        quality=draw(st.sampled_from(ReadingQuality)),
        missing_s=draw(st.integers(0, period.length_s)),
        site_id=draw(st.sampled_from(["", SITE])),
        position=draw(st.none() | positions),
        vehicle_id=draw(ids),
        driver_id=draw(ids),
        clock_state=draw(st.sampled_from(ClockState)),
        boot_id=draw(ids),
        end_monotonic_ns=draw(wh),
        final=draw(st.booleans()),
    )


observations = st.builds(
    lambda period, readings, net, match: SiteObservation(
        period=period,
        site_id=SITE,
        readings=tuple(
            SiteReading(
                site_id=SITE,
                period=period,
                source=source,
                import_wh=imported,
                export_wh=exported,
                step_wh=10,
            )
            for source, imported, exported in readings
        ),
        transferred_wh=net,
        match=match,
    ),
    periods,
    st.lists(st.tuples(st.sampled_from(ReadingSource), st.none() | wh, st.none() | wh), max_size=3),
    st.integers(-(10**6), 10**6),
    matches,
)
events = st.builds(
    CableEvent,
    kind=st.sampled_from(CableEventKind),
    at_s=st.integers(1_600_000_000, 1_700_000_000).map(float),
    site_id=st.sampled_from(["", SITE]),
    detail=texts(50),
    asset_loading=st.none()
    | st.builds(
        AssetLoading,
        asset_id=ids,
        loading_percent=st.floats(-200, 200),
        measured_s=st.just(1_650_000_000.0),
        rated_va=st.none() | wh,
    ),
)
samples = st.lists(st.tuples(wh, st.integers(-5000, 5000)), max_size=5).map(tuple)
proofs = st.builds(
    ProofRecord,
    proof_id=ids,
    site_id=st.just(SITE),
    outcome=st.sampled_from(ProofOutcome),
    cable_power=samples,
    meter_power=samples,
    evidence_nats=st.floats(-50, 50),
    gain=st.floats(-2, 2),
    detail=texts(30),
)


@given(entry=transfers() | observations | events | proofs)
def test_an_entry_comes_back_as_it_was(entry: JournalEntry) -> None:
    assert entry_from_bytes(entry_to_bytes(entry)) == entry


@settings(max_examples=2000)
@given(
    entry=transfers() | observations | events | proofs,
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4),
)
def test_mutated_bytes_are_a_value_or_a_declared_error(
    entry: JournalEntry, flips: list[tuple[int, int]]
) -> None:
    body = bytearray(entry_to_bytes(entry))
    for at, mask in flips:
        body[at % len(body)] ^= mask
    try:
        entry_from_bytes(bytes(body))
    except WireError as error:
        assert str(error)


def test_an_unknown_content_is_tolerated() -> None:
    assert entry_from_bytes(b"\xfa\x01\x03abc") is None


@pytest.mark.parametrize(
    "change",
    [
        {"site_to_vehicle_end_wh": 5},
        {"end_s": 1_700_000_000 // 1800 * 1800},
        {"missing_s": 9999},
        {"vehicle_id": "x" * 65},
        {"step_wh": 10**7},
    ],
)
def test_impossible_records_are_refused(change: dict[str, object]) -> None:
    start = 1_700_000_000 // 1800 * 1800
    values: dict[str, object] = {
        "period": Period(start),
        "start_s": start,
        "end_s": start + 1800,
        "site_to_vehicle_start_wh": 10,
        "site_to_vehicle_end_wh": 20,
        "vehicle_to_site_start_wh": 0,
        "vehicle_to_site_end_wh": 0,
    }
    entry_from_bytes(entry_to_bytes(TransferRecord(**values)))  # type: ignore[arg-type]
    with pytest.raises(WireError):
        entry_from_bytes(entry_to_bytes(TransferRecord(**(values | change))))  # type: ignore[arg-type]
