"""Green Button feeds that we write: valid, read back, and reconciled."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gridcord.units import CableId, Period, SiteId
from tests.reference_data import reference
from tests.unit.utility_adapter.files import facts_of, read_bytes, read_text
from tests.unit.utility_adapter.meter_data import (
    OPTIONS,
)
from utility_adapter.domain.readings import DataQuality, ReadingFact, Register
from utility_adapter.domain.reconciliation import Finding, reconcile
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources import (
    NoteKind,
    NotExpressible,
    write_espi_readings,
    write_espi_transfers,
)

START_S = 1_778_803_200  # 15 May 2026, 00:00 UTC
ATOM, ESPI = "{http://www.w3.org/2005/Atom}", "{http://naesb.org/espi}"


def transfer(cable: str, site: str, n: int, charged: int, discharged: int) -> PeriodTransfer:
    return PeriodTransfer(
        cable_id=CableId(cable),
        site_id=SiteId(site),
        period=Period(START_S + n * 1800),
        site_to_vehicle_wh=charged,
        vehicle_to_site_wh=discharged,
    )


TRANSFERS = [
    transfer("cable-1", "jp.routeb:0123", 0, 0, 750),
    transfer("cable-1", "jp.routeb:0123", 1, 120, 40),
    transfer("cable-1", "jp.routeb:0123", 60, 0, 0),
    transfer("cable-2", "jp.routeb:0123", 0, 1500, 0),
    transfer("cable-1", "nmi:0000000001", 5, 0, 700),
]


def written(transfers: list[PeriodTransfer]) -> BytesIO:
    out = BytesIO()
    write_espi_transfers(transfers, out, written_at_s=START_S)
    return out


@st.composite
def many_transfers(draw: st.DrawFn) -> list[PeriodTransfer]:
    keys = st.tuples(
        st.sampled_from(["jp.routeb:0123", "nmi:0000000001", "obis:a-b_c.d"]),
        st.sampled_from(["cable-1", "cable-2", "c"]),
        st.integers(0, 100),
    )
    energy = st.integers(0, 10**12)
    return [
        transfer(cable, site, n, draw(energy), draw(energy))
        for site, cable, n in sorted(draw(st.sets(keys, max_size=30)))
    ]


@st.composite
def many_readings(draw: st.DrawFn) -> list[ReadingFact]:
    return [
        ReadingFact(
            site_id=SiteId(f"espi:{site}"),
            period=Period(START_S + n * 1800),
            register=register,
            wh=draw(st.integers(0, 10**12)),
            step_wh=1,
            quality=quality,
            revision=START_S,
            received_at_s=OPTIONS.received_at_s,
            source="file",
        )
        for site in sorted(draw(st.sets(st.text("aZ0._-", min_size=1, max_size=8), max_size=3)))
        for n in sorted(draw(st.sets(st.integers(0, 100), min_size=1, max_size=20)))
        for quality in [draw(st.sampled_from(DataQuality))]
        for register in Register
    ]


class TestWriting:
    @given(transfers=many_transfers())
    def test_written_transfers_are_read(
        self, transfers: list[PeriodTransfer], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        with read_bytes(tmp_path_factory.mktemp("espi"), written(transfers)) as delivery:
            read = {(t.key, t.site_to_vehicle_wh, t.vehicle_to_site_wh) for t in delivery.transfers}
            assert (delivery.summary.facts, delivery.sites) == (0, ())
        assert read == {(t.key, t.site_to_vehicle_wh, t.vehicle_to_site_wh) for t in transfers}

    @given(facts=many_readings())
    def test_written_readings_are_read(
        self, facts: list[ReadingFact], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        out = BytesIO()
        write_espi_readings(facts, out, written_at_s=START_S)
        assert set(facts_of(read_bytes(tmp_path_factory.mktemp("espi"), out))) == set(facts)

    def test_a_cable_is_a_virtual_point_of_the_sites_customer(self) -> None:
        root = etree.fromstring(written(TRANSFERS).getvalue())
        points = [
            entry
            for entry in root.iter(f"{ATOM}entry")
            if entry.find(f".//{ESPI}UsagePoint") is not None
        ]
        addresses = [
            str(link.get("href"))
            for entry in points
            for link in entry.iterfind(f"{ATOM}link[@rel='self']")
        ]
        assert [address.partition("/resource/")[2] for address in addresses] == [
            "RetailCustomer/jp.routeb%3A0123/UsagePoint/cable-1",
            "RetailCustomer/jp.routeb%3A0123/UsagePoint/cable-2",
            "RetailCustomer/nmi%3A0000000001/UsagePoint/cable-1",
        ]
        assert [e.findtext(f".//{ESPI}isVirtual") for e in points] == ["true"] * 3

    def test_its_structure_is_that_of_the_standard(self) -> None:
        """Checked by hand where no schema is at hand: order of elements, links, unique ids."""
        root = etree.fromstring(written(TRANSFERS).getvalue())
        assert root.tag == f"{ATOM}feed"
        entries = list(root.iter(f"{ATOM}entry"))
        ids = [entry.findtext(f"{ATOM}id") for entry in entries]
        assert len(set(ids)) == len(ids)
        for entry in entries:
            assert [str(child.tag) for child in entry][:1] == [f"{ATOM}id"]
            assert entry.find(f"{ATOM}link[@rel='up']") is not None
            assert entry.findtext(f"{ATOM}updated") == "2026-05-15T00:00:00Z"
        for reading in root.iter(f"{ESPI}IntervalReading"):
            names = [str(child.tag).removeprefix(ESPI) for child in reading]
            assert names == ["ReadingQuality", "timePeriod", "value"]
        flows = {e.text for e in root.iter(f"{ESPI}flowDirection")}
        assert flows == {"1", "19"}
        types = list(root.iter(f"{ESPI}ReadingType"))
        assert len(types) == 2  # shared by all points
        assert [str(child.tag).removeprefix(ESPI) for child in types[0]] == [
            "accumulationBehaviour",
            "commodity",
            "dataQualifier",
            "flowDirection",
            "intervalLength",
            "kind",
            "powerOfTenMultiplier",
            "uom",
        ]

    def test_every_resource_is_valid_by_the_schema(self) -> None:
        schema = etree.XMLSchema(etree.parse(str(reference("formats/espi/espi.xsd"))))
        root = etree.fromstring(written(TRANSFERS).getvalue())
        resources = [r for content in root.iter(f"{ATOM}content") for r in content]
        assert {str(resource.tag).removeprefix(ESPI) for resource in resources} == {
            "IntervalBlock",
            "LocalTimeParameters",
            "MeterReading",
            "ReadingType",
            "UsagePoint",
        }
        for resource in resources:
            schema.assertValid(etree.ElementTree(resource))
        block = next(r for r in resources if r.tag == f"{ESPI}IntervalBlock")
        block.append(block[0])  # the schema does notice a wrong order
        assert not schema.validate(etree.ElementTree(block))

    def test_what_comes_back_settles_what_was_sent(self, tmp_path: Path) -> None:
        corrected = replace(TRANSFERS[0], vehicle_to_site_wh=700, revision=1)
        with read_bytes(tmp_path, written(TRANSFERS)) as delivery:
            assert reconcile(sent=TRANSFERS, confirmed=delivery.transfers).settled
            again = reconcile(sent=[*TRANSFERS, corrected], confirmed=delivery.transfers)
        assert [line.sent for line in again.found(Finding.OUTDATED)] == [corrected]
        assert len(again.found(Finding.AGREES)) == len(TRANSFERS) - 1

    def test_unsorted_transfers_are_refused(self) -> None:
        for wrong in (TRANSFERS[::-1], [*TRANSFERS, TRANSFERS[-1]]):
            with pytest.raises(NotExpressible, match="sorted"):
                written(wrong)

    def test_a_virtual_point_of_others_is_left_out(self, tmp_path: Path) -> None:
        text = written(TRANSFERS[:1]).getvalue().decode()
        with read_text(tmp_path, text.replace("jp.routeb%3A0123", "somebody")) as delivery:
            assert (delivery.transfers, delivery.summary.facts) == ((), 0)
            assert delivery.summary.notes == {NoteKind.STREAM_SKIPPED: 2}

    def test_half_of_a_transfer_is_none(self, tmp_path: Path) -> None:
        text = written(TRANSFERS[:1]).getvalue().decode()
        reverse = text.replace("<espi:flowDirection>19", "<espi:flowDirection>20")
        with read_text(tmp_path, reverse) as delivery:
            assert delivery.transfers == ()
            assert delivery.summary.notes == {
                NoteKind.STREAM_SKIPPED: 1,
                NoteKind.PERIOD_INCOMPLETE: 1,
            }
