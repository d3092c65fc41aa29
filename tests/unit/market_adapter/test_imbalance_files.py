"""Files of imbalance prices: read when they are new, told until they are kept, refused beside."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gridcord.units import Period, Price
from market_adapter.domain.contracts import AreaPrice, PriceKind
from market_adapter.ports import FeedUnavailable
from market_adapter.storage.store import MarketStore
from market_adapter.usecases.listening import learn_prices_once
from market_adapter.venues.imbalance_files import ImbalanceFiles
from tests.unit.protocols.test_imbalance_csv import TABLE

START_S = 1_795_446_000
CANONICAL = (
    "area_id,period_start,period_length_s,currency,price_per_kwh\n"
    "gb,2026-11-23T17:00:00Z,1800,GBP,0.105\n"
)


@pytest.fixture
def source(tmp_path: Path) -> ImbalanceFiles:
    return ImbalanceFiles(folder=tmp_path / "in", settled_by="imbalance", now=lambda: START_S)


def test_the_public_table_and_our_own(source: ImbalanceFiles, tmp_path: Path) -> None:
    assert source.prices() == []
    (tmp_path / "in" / "202611.csv").write_bytes(TABLE.encode("cp932"))
    (tmp_path / "in" / "gb.csv").write_text(CANONICAL, "utf-8")
    told = source.prices()
    assert {price.area_id for price in told} == {"tokyo", "okinawa", "gb"}
    assert {(price.kind, price.market_id) for price in told} == {(PriceKind.IMBALANCE, "imbalance")}
    assert told[-1] == AreaPrice(
        market_id="imbalance",
        kind=PriceKind.IMBALANCE,
        area_id="gb",
        period=Period.containing(1_795_453_200, 1800),
        price=Price.per_kwh("GBP", "0.105"),
        published_s=START_S,
    )
    note = json.loads((tmp_path / "in" / "202611.csv.ok").read_text("utf-8"))
    assert note["rows"] == 3


def test_it_is_told_again_until_it_is_kept(source: ImbalanceFiles, tmp_path: Path) -> None:
    file = tmp_path / "in" / "gb.csv"
    file.write_text(CANONICAL, "utf-8")
    assert source.prices() == source.prices() != []
    source.kept()
    assert source.prices() == []
    file.write_text(CANONICAL.replace("0.105", "0.2051"), "utf-8")
    (price,) = source.prices()
    assert price.price == Price.per_kwh("GBP", "0.2051")


def test_a_broken_file_is_refused_beside_it_and_read_when_it_is_mended(
    source: ImbalanceFiles, tmp_path: Path
) -> None:
    file = tmp_path / "in" / "202611.csv"
    file.write_text(TABLE.replace('"8.91"', '"free"'), "utf-8")
    assert source.prices() == []
    source.kept()
    note = json.loads(file.with_name("202611.csv.error").read_text("utf-8"))
    assert note["error"] == "line 5: no price in JPY/kWh: 'free'"
    file.write_text(TABLE, "utf-8")
    assert len(source.prices()) == 3
    assert not file.with_name("202611.csv.error").exists()


def test_they_are_prices_beside_those_of_the_market(source: ImbalanceFiles, tmp_path: Path) -> None:
    (tmp_path / "in" / "202611.csv").write_text(TABLE, "utf-8")
    store = MarketStore(tmp_path / "market.sqlite")
    assert asyncio.run(learn_prices_once(source=source, store=store))
    kept = store.prices().values
    assert len(kept) == 3
    auction = AreaPrice(
        market_id="imbalance",
        kind=PriceKind.DAY_AHEAD,
        area_id=kept[0].area_id,
        period=kept[0].period,
        price=Price.per_kwh("JPY", "1.00"),
        published_s=1,
    )
    assert store.keep_prices([auction]) == 1
    assert store.prices().values == (*kept, auction)
    store.close()


def test_a_folder_that_went_away_is_said(source: ImbalanceFiles, tmp_path: Path) -> None:
    (tmp_path / "in" / "202611.csv").mkdir()
    with pytest.raises(FeedUnavailable):
        source.prices()
