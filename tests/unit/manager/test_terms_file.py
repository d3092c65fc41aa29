"""The file of settlement terms: what bundles write is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridcord.evidence import plain
from gridcord.settlement.schedule import Prices, Schedule
from gridcord.settlement.tariff import SiteTariff, TariffBook
from gridcord.settlement.terms import SettlementRule, SiteTerms
from gridcord.units import Price
from manager.terms_file import TermsFileError, read_terms
from tests.unit.settlement.cases import tariff

SITE = SiteTerms(site_id="obis:4530303033", host_id="host-1")
SITE_TARIFF = SiteTariff(
    tariff_id="house",
    version=1,
    schedule=Schedule(zone="UTC", base=Prices.same(Price.per_kwh("USD", "0.30"))),
)
DEFAULT = TariffBook([tariff()])


def file_of(folder: Path, **lists: list[object]) -> Path:
    path = folder / "terms.json"
    document = {name: [json.loads(plain.write(each)) for each in lists[name]] for name in lists}
    path.write_text(json.dumps(document, indent=2))
    return path


def test_a_file_says_sites_and_their_tariffs(tmp_path: Path) -> None:
    path = file_of(tmp_path, sites=[SITE], site_tariffs=[SITE_TARIFF])
    terms = read_terms(path, rule=SettlementRule(), default=DEFAULT)
    assert terms.site(SITE.site_id) == SITE
    assert terms.site_tariffs.versions == (SITE_TARIFF,)
    assert terms.tariffs is DEFAULT


def test_its_tariffs_replace_the_default(tmp_path: Path) -> None:
    other = tariff("0.50", version=7)
    terms = read_terms(file_of(tmp_path, tariffs=[other]), rule=SettlementRule(), default=DEFAULT)
    assert terms.tariffs.versions == (other,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON file"),
        ("[]", "not an object"),
        ('{"prices": []}', "not an object"),
        ('{"sites": [{"site_id": "x"}]}', "sites, item 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "terms.json"
    path.write_text(text)
    with pytest.raises(TermsFileError, match=said):
        read_terms(path, rule=SettlementRule(), default=DEFAULT)
