"""Green Button feeds: the published sample, streams, qualities and sites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcord.units import Position, SiteId
from tests.reference_data import reference
from tests.unit.utility_adapter.files import facts_of, read_text, wh_of
from tests.unit.utility_adapter.meter_data import OPTIONS
from tests.unit.utility_adapter.snippets import (
    ESPI_POINT,
    espi_entry,
    espi_feed,
    espi_reading,
    espi_type,
)
from utility_adapter.domain.readings import DataQuality, Register
from utility_adapter.domain.site import Site
from utility_adapter.sources import (
    FileRefused,
    NoteKind,
    ReadOptions,
    read_file,
)

IMPORT, EXPORT = Register.IMPORT, Register.EXPORT
START_S = 1_778_803_200  # 15 May 2026, 00:00 UTC
POINT = "RetailCustomer/1/UsagePoint/H1"


def block(*readings: str) -> str:
    return f"<espi:IntervalBlock>{''.join(readings)}</espi:IntervalBlock>"


def stream(name: str, kind: str, *blocks: str, point: str = POINT) -> Iterator[str]:
    path = f"{point}/MeterReading/{name}"
    yield espi_entry(path, "<espi:MeterReading/>", f"{path}/IntervalBlock ReadingType/{name}")
    yield espi_entry(f"ReadingType/{name}", kind)
    for number, content in enumerate(blocks):
        yield espi_entry(f"{path}/IntervalBlock/{number}", content)


def feed(*entries: str, point: str = ESPI_POINT) -> str:
    head = espi_entry(POINT, point, f"{POINT}/MeterReading")
    return "".join(espi_feed(iter([head, *entries])))


def import_feed(*readings: str, kind: str = "") -> str:
    return feed(*stream("1", kind or espi_type(1), block(*readings)))


class TestPublishedSample:
    def test_nine_days_hourly(self) -> None:
        path = reference("formats/espi/TestGBDataHourlyNineDaysBinnedDaily.xml")
        options = ReadOptions(received_at_s=0.0, period_s=3600)
        with read_file(path, options) as delivery:
            facts = list(delivery.facts())
            assert [site.site_id for site in delivery.sites] == ["espi:2"]
        assert len(facts) == 9 * 24
        assert sum(f.wh for f in facts) == 199_563  # the file's own overallConsumptionLastPeriod
        assert (facts[0].period.start_s, facts[0].wh, facts[5].wh) == (1_388_552_400, 273, 819)
        assert {(f.register, f.step_wh, f.quality) for f in facts} == {
            (IMPORT, 1, DataQuality.VALID)
        }

    def test_its_hours_are_too_long_for_half_hours(self) -> None:
        path = reference("formats/espi/TestGBDataHourlyNineDaysBinnedDaily.xml")
        with pytest.raises(FileRefused, match="3600 s is longer than the period of 1800 s"):
            read_file(path, OPTIONS)

    def test_the_synthetic_home_is_the_one_of_nem12(self) -> None:
        espi = facts_of(read_file(reference("formats/synthetic/espi_30min.xml"), OPTIONS))
        nem12 = facts_of(read_file(reference("formats/synthetic/nem12.csv"), OPTIONS))
        for register in Register:
            assert [f.wh for f in espi if f.register is register] == [
                f.wh for f in nem12 if f.register is register
            ]


class TestStreams:
    def test_entries_may_come_in_any_order(self, tmp_path: Path) -> None:
        entries = list(stream("1", espi_type(1), block(espi_reading(START_S, 5))))
        assert wh_of(read_text(tmp_path, feed(*reversed(entries)))) == [5]

    def test_blocks_may_come_newest_first(self, tmp_path: Path) -> None:
        late = block(espi_reading(START_S + 86_400, 7))
        early = block(espi_reading(START_S, 5))
        text = feed(*stream("1", espi_type(1), late, early))
        assert wh_of(read_text(tmp_path, text)) == [7, 5]

    def test_a_half_hour_may_be_cut_by_a_block(self, tmp_path: Path) -> None:
        kind = espi_type(1, length_s=900)
        first = block(espi_reading(START_S, 5, 900))
        second = block(espi_reading(START_S + 900, 7, 900))
        assert wh_of(read_text(tmp_path, feed(*stream("1", kind, first, second)))) == [12]

    @pytest.mark.parametrize(
        ("exponent", "value", "wh", "step_wh"),
        [(0, 731, 731, 1), (3, 2, 2000, 1000), (2, 7, 700, 100), (-3, 731_499, 731, 1)],
    )
    def test_the_power_of_ten_gives_value_and_step(
        self, tmp_path: Path, exponent: int, value: int, wh: int, step_wh: int
    ) -> None:
        kind = espi_type(1, exponent=exponent)
        [fact] = facts_of(read_text(tmp_path, import_feed(espi_reading(START_S, value), kind=kind)))
        assert (fact.wh, fact.step_wh) == (wh, step_wh)

    def test_a_net_stream_is_import_or_export(self, tmp_path: Path) -> None:
        readings = block(espi_reading(START_S, 300), espi_reading(START_S + 1800, -200))
        facts = facts_of(read_text(tmp_path, feed(*stream("4", espi_type(4), readings))))
        assert [(f.register, f.wh) for f in facts] == [
            (IMPORT, 300),
            (EXPORT, 0),
            (IMPORT, 0),
            (EXPORT, 200),
        ]

    def test_a_net_stream_gives_way_to_both_registers(self, tmp_path: Path) -> None:
        text = feed(
            *stream("1", espi_type(1), block(espi_reading(START_S, 5))),
            *stream("4", espi_type(4), block(espi_reading(START_S, 99))),
        )
        with read_text(tmp_path, text) as delivery:
            assert [f.wh for f in delivery.facts()] == [5]
            assert "net beside" in delivery.summary.first_notes[0].text

    def test_a_daily_stream_gives_way_to_half_hours(self, tmp_path: Path) -> None:
        text = feed(
            *stream("1", espi_type(1), block(espi_reading(START_S, 5))),
            *stream("d", espi_type(1, length_s=86_400), block(espi_reading(START_S, 99, 86_400))),
        )
        assert wh_of(read_text(tmp_path, text)) == [5]

    @pytest.mark.parametrize(
        "kind",
        [
            espi_type(1, uom=38),
            espi_type(20),
            espi_type(1).replace("<espi:commodity>1", "<espi:commodity>7"),
            espi_type(1).replace("Behaviour>4", "Behaviour>3"),
        ],
        ids=["power", "total", "gas", "register"],
    )
    def test_what_is_no_energy_of_one_direction_is_noted(self, tmp_path: Path, kind: str) -> None:
        with read_text(tmp_path, import_feed(espi_reading(START_S, 5), kind=kind)) as delivery:
            assert delivery.summary.facts == 0
            assert delivery.summary.notes == {NoteKind.STREAM_SKIPPED: 1}

    def test_readings_without_a_time_follow_one_another(self, tmp_path: Path) -> None:
        bare = "<espi:IntervalReading><espi:value>{}</espi:value></espi:IntervalReading>"
        content = (
            f"<espi:IntervalBlock><espi:interval><espi:duration>3600</espi:duration>"
            f"<espi:start>{START_S}</espi:start></espi:interval>"
            f"{bare.format(5)}{bare.format(7)}</espi:IntervalBlock>"
        )
        facts = facts_of(read_text(tmp_path, feed(*stream("1", espi_type(1), content))))
        assert [(f.period.start_s - START_S, f.wh) for f in facts] == [(0, 5), (1800, 7)]

    def test_the_time_of_update_is_the_revision(self, tmp_path: Path) -> None:
        entries = [*stream("1", espi_type(1))]
        path = f"{POINT}/MeterReading/1/IntervalBlock/1"
        content = block(espi_reading(START_S, 5))
        entries.append(espi_entry(path, content, updated="2026-05-16T00:10:00.5Z"))
        [fact] = facts_of(read_text(tmp_path, feed(*entries)))
        assert fact.revision == START_S + 86_400 + 600


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        ("0", DataQuality.VALID),
        ("", DataQuality.VALID),
        ("7", DataQuality.EDITED),
        ("8", DataQuality.ESTIMATED),
        ("9", DataQuality.ESTIMATED),
        ("10", DataQuality.QUESTIONABLE),
        ("14", DataQuality.RAW),
        ("19", DataQuality.VALID),
        ("4711", DataQuality.QUESTIONABLE),
        ("12", None),
        ("15", None),
    ],
)
def test_quality_codes(tmp_path: Path, code: str, quality: DataQuality | None) -> None:
    with read_text(tmp_path, import_feed(espi_reading(START_S, 5, quality=code))) as delivery:
        assert [f.quality for f in delivery.facts()] == ([quality] if quality else [])
        assert delivery.summary.notes == ({} if quality else {NoteKind.PERIOD_INCOMPLETE: 1})


def test_the_default_quality_of_a_stream(tmp_path: Path) -> None:
    default = "<espi:defaultQuality>14</espi:defaultQuality><espi:flowDirection>"
    kind = espi_type(1).replace("<espi:flowDirection>", default)
    [fact] = facts_of(read_text(tmp_path, import_feed(espi_reading(START_S, 5), kind=kind)))
    assert fact.quality is DataQuality.RAW


def measurement(name: str, value: int, uom: int, exponent: int = 0) -> str:
    return (
        f"<espi:{name}><espi:powerOfTenMultiplier>{exponent}</espi:powerOfTenMultiplier>"
        f"<espi:uom>{uom}</espi:uom><espi:value>{value}</espi:value></espi:{name}>"
    )


CUSTOMER = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:c="http://naesb.org/espi/customer">
<entry>
<link rel="self" href="/c/CustomerAgreement/7/ServiceLocation/1"/>
<link rel="up" href="/c/CustomerAgreement/7/ServiceLocation"/>
<content><c:ServiceLocation><c:type>home</c:type>
<c:positionPoints><c:xPosition>139.7671</c:xPosition><c:yPosition>35.6812</c:yPosition>
</c:positionPoints><c:UsagePoints>
<c:UsagePoint>https://utility.example/x/RetailCustomer/1/UsagePoint/H1</c:UsagePoint>
</c:UsagePoints></c:ServiceLocation></content></entry>
<entry>
<link rel="self" href="/c/CustomerAgreement/7/Meter/1"/>
<link rel="up" href="/c/CustomerAgreement/7/Meter"/>
<content><c:Meter><c:serialNumber>SN-4711</c:serialNumber></c:Meter></content></entry>
<entry>
<link rel="self" href="/c/CustomerAgreement/8/Meter/1"/>
<link rel="up" href="/c/CustomerAgreement/8/Meter"/>
<content><c:Meter><c:serialNumber>SN-4712</c:serialNumber></c:Meter></content></entry>
</feed>
"""


class TestSites:
    def test_ratings_of_a_usage_point(self, tmp_path: Path) -> None:
        ratings = measurement("nominalServiceVoltage", 2, 29, 2) + measurement(
            "ratedPower", 6, 38, 3
        )
        point = ESPI_POINT.replace("</espi:UsagePoint>", ratings + "</espi:UsagePoint>")
        with read_text(tmp_path, feed(point=point)) as delivery:
            [site] = delivery.sites
        assert (site.rated_power_w, site.service_voltage_v) == (6000, 200)

    def test_location_and_meter_from_the_customer_feed(self, tmp_path: Path) -> None:
        with read_text(tmp_path, CUSTOMER) as delivery:
            assert delivery.sites == (
                Site(
                    site_id=SiteId("espi:H1"),
                    position=Position(35.6812, 139.7671),
                    meter_ids=("SN-4711",),
                ),
            )

    def test_a_meter_that_names_its_location(self, tmp_path: Path) -> None:
        text = CUSTOMER.replace("Agreement/7/Meter", "Agreement/9/Meter").replace(
            "<content><c:Meter><c:serialNumber>SN-4711",
            '<link rel="related" href="/c/CustomerAgreement/7/ServiceLocation/1"/>'
            "<content><c:Meter><c:serialNumber>SN-4711",
        )
        with read_text(tmp_path, text) as delivery:
            assert delivery.sites[0].meter_ids == ("SN-4711",)

    @pytest.mark.parametrize("wrong", ["135.6812", "north", "", "nan"])
    def test_no_such_place_is_refused(self, tmp_path: Path, wrong: str) -> None:
        with pytest.raises(FileRefused, match=r"file\.txt:6"):
            read_text(tmp_path, CUSTOMER.replace("35.6812", wrong))

    def test_gas_is_no_site(self, tmp_path: Path) -> None:
        point = ESPI_POINT.replace("<espi:kind>0", "<espi:kind>1")
        text = feed(*stream("1", espi_type(1), block(espi_reading(START_S, 5))), point=point)
        with read_text(tmp_path, text) as delivery:
            assert (delivery.sites, delivery.summary.facts) == ((), 0)

    def test_two_points_of_one_number_are_refused(self, tmp_path: Path) -> None:
        other = POINT.replace("RetailCustomer/1", "RetailCustomer/2")
        text = feed(
            espi_entry(other, ESPI_POINT),
            *stream("1", espi_type(1)),
            *stream("2", espi_type(1), point=other),
        )
        with pytest.raises(FileRefused, match="two streams count IMPORT of espi:H1"):
            read_text(tmp_path, text)
