"""Site ids made of what instruments call themselves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cable_node.drivers.site_identity import site_id
from gridcord.units import parse_site_id


def test_plain_names_are_kept_without_padding() -> None:
    assert site_id("jp.0288", "000016-S13Y00001234 \0") == "jp.0288:000016-S13Y00001234"


def test_other_characters_become_hexadecimal() -> None:
    assert site_id("obis", "E 43/1") == "obis:" + b"E 43/1".hex()


@given(st.text(max_size=200))
def test_every_name_gives_an_id(name: str) -> None:
    assert parse_site_id(site_id("obis", name)) == site_id("obis", name)


@given(st.text(max_size=100), st.text(max_size=100))
def test_different_names_give_different_ids(one: str, other: str) -> None:
    def padded(name: str) -> str:
        return name.rstrip("\0 ")

    if padded(one) != padded(other):
        assert site_id("obis", one) != site_id("obis", other)
