"""Venues and feeds out of settings: each kind, and what is said when a key is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridcord.chassis.settings import SettingsError
from gridcord.simulation.exchange import tls
from gridcord.testing.clock import ManualClock
from market_adapter.connections import open_feed, open_profile, open_venue, open_venues
from market_adapter.ports import Venue
from market_adapter.settings import IntradaySettings, OpenAdrSettings, VenueSettings
from market_adapter.venues.file_drop.venue import FileDrop
from market_adapter.venues.jepx.day_ahead import JepxDayAhead
from market_adapter.venues.jepx.intraday import JepxIntraday
from market_adapter.venues.openadr.ven3 import Ven3
from market_adapter.venues.price_file import PriceFile

PRICES = "受渡日,時刻コード,エリアプライス東京(円/kWh)\n2026/11/24,1,20.00\n"
MEMBER = {"kind": "jepx", "host": "localhost", "port": 1, "member": "0841"}


def venue(**keys: Any) -> Venue | None:
    settings = VenueSettings(**keys)
    return open_venue(settings, profile=open_profile(settings), clock=ManualClock(), pools={})


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    tls.server_context(tmp_path)
    (tmp_path / "prices").write_text(PRICES, "utf-8")
    (tmp_path / "other").write_text("nothing of the kind\n", "utf-8")
    (tmp_path / "empty").write_text("\n", "utf-8")
    (tmp_path / "profile").write_text(
        (Path(__file__).parents[3] / "market_adapter/profiles/generic.toml").read_text("utf-8"),
        "utf-8",
    )
    names = {"roots": tls.CERTIFICATE, "missing": "there is none", "journal": "new.jsonl"}
    return {"folder": tmp_path} | {
        name: tmp_path / names.get(name, name)
        for name in ("prices", "other", "empty", "profile", "roots", "missing", "journal")
    }


def test_each_kind_is_opened(files: dict[str, Path]) -> None:
    roots, code = files["roots"], "ABCD8"
    assert venue() is None
    assert open_feed(OpenAdrSettings()) is None
    found = venue(kind="price_file", prices=files["prices"], journal=files["journal"])
    assert isinstance(found, PriceFile)
    found = venue(kind="file_drop", folder=files["folder"], profile_file=files["profile"])
    assert isinstance(found, FileDrop)
    assert found.profile.market_id == "generic.dayahead"
    assert isinstance(venue(**MEMBER, roots=roots, contract_code=code), JepxDayAhead)
    intraday = venue(**MEMBER, roots=roots, contract_code=code, profile="jepx.intraday")
    assert isinstance(intraday, JepxIntraday)


def test_a_feed_of_either_version_is_opened(files: dict[str, Path]) -> None:
    url = "https://vtn.example"
    newer: dict[str, Any] = {"client_id": "a", "secret_file": files["other"], "programs": ("p",)}
    assert isinstance(open_feed(OpenAdrSettings(url=url, **newer)), Ven3)
    pytest.importorskip("openleadr", reason="the extra `openadr2` is not installed")
    older = open_feed(OpenAdrSettings(url=url, version="2.0b", ven_name="us"))
    assert older is not None
    assert older.name == "openadr2:us"


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"profile": "none"}, "venue.profile: "),
        ({"kind": "price_file"}, "venue.prices: price_file needs it"),
        ({"kind": "price_file", "prices": "prices"}, "venue.journal: price_file needs it"),
        ({"kind": "price_file", "prices": "other", "journal": "journal"}, "venue.prices: .*line 1"),
        ({"kind": "price_file", "prices": "prices", "journal": "other"}, "venue.journal: .*line 1"),
        ({"kind": "file_drop"}, "venue.folder: file_drop needs it"),
        ({"kind": "jepx"}, "venue.roots: jepx needs it"),
        ({"kind": "jepx", "roots": "roots"}, "venue.host: jepx needs it"),
        ({"kind": "jepx", "roots": "roots", "host": "a"}, "venue.port: jepx needs it"),
        ({**MEMBER, "member": "", "roots": "roots"}, "venue.member: jepx needs it"),
        ({**MEMBER, "roots": "roots"}, "venue.contract_code: jepx needs it"),
        ({**MEMBER, "roots": "other"}, "venue.roots: .*no certificates"),
        ({**MEMBER, "roots": "missing"}, "venue.roots: .*no certificates"),
        ({**MEMBER, "profile_file": "profile"}, "areas that JEPX does not have"),
    ],
)
def test_what_a_venue_lacks_is_named(
    files: dict[str, Path], keys: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        venue(**{key: files.get(str(value), value) for key, value in keys.items()})


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({}, "openadr.secret_file: version 3.1 needs it"),
        ({"secret_file": "other"}, "openadr.client_id: version 3.1 needs it"),
        ({"secret_file": "empty", "client_id": "a"}, "openadr.secret_file: version 3.1 needs it"),
        ({"secret_file": "other", "client_id": "a"}, "openadr.programs: version 3.1 needs it"),
        ({"roots": "roots"}, "openadr.roots: is for version 2.0b; remove it"),
        ({"version": "2.0b", "roots": "roots"}, "certificate, key and roots are needed together"),
    ],
)
def test_what_a_feed_lacks_is_named(
    files: dict[str, Path], keys: dict[str, Any], complaint: str
) -> None:
    if keys.get("version") == "2.0b":
        pytest.importorskip("openleadr", reason="the extra `openadr2` is not installed")
    given = {key: files.get(str(value), value) for key, value in keys.items()}
    with pytest.raises(SettingsError, match=complaint):
        open_feed(OpenAdrSettings(url="https://vtn.example", **given))


def test_two_venues_of_one_exchange_share_its_connections(files: dict[str, Path]) -> None:
    keys: dict[str, Any] = {**MEMBER, "roots": files["roots"], "contract_code": "ABCD8"}
    found = open_venues([VenueSettings(**keys), IntradaySettings(**keys)], clock=ManualClock())
    (day_ahead, _), (intraday, told) = found["jepx.dayahead"], found["jepx.intraday"]
    assert isinstance(day_ahead, JepxDayAhead)
    assert isinstance(intraday, JepxIntraday)
    assert day_ahead.pool is intraday.pool
    assert told.section == "intraday"
    other = IntradaySettings(**{**keys, "member": "0842"})
    found = open_venues([VenueSettings(**keys), other], clock=ManualClock())
    assert len({id(each.pool) for each, _ in found.values()}) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"kind": "file_drop"}, "intraday.folder: file_drop needs it"),
        ({"kind": "file_drop", "folder": ".", "profile": "jepx.dayahead"}, "intraday.profile"),
        ({"kind": "file_drop", "folder": ".", "profile_file": "hourly"}, "of another length"),
        ({"kind": "price_file", "prices": "prices"}, "intraday.journal: price_file needs it"),
        ({"kind": "jepx", "roots": "other"}, "intraday.host: jepx needs it"),
    ],
)
def test_what_the_second_venue_lacks_is_named_by_its_section(
    files: dict[str, Path], second: dict[str, Any], said: str
) -> None:
    hourly = files["profile"].read_text("utf-8").replace("_s = 1800", "_s = 3600")
    (files["folder"] / "hourly").write_text(hourly, "utf-8")
    paths = {
        key: files["folder"] / second[key]
        for key in ("folder", "profile_file", "prices", "roots")
        if key in second
    }
    first = VenueSettings(kind="file_drop", folder=files["folder"] / "first")
    with pytest.raises(SettingsError, match=said):
        open_venues([first, IntradaySettings(**second | paths)], clock=ManualClock())
