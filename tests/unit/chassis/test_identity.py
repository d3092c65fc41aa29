"""The grammar of identities."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcord.chassis.certificates import Authority, Names, certificate_pem, new_key
from gridcord.chassis.identity import (
    IdentityError,
    Kind,
    Principal,
    Role,
    caller,
    parse_principal,
    read_peer,
)
from gridcord.units.identifiers import parse_device_id

ids = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", fullmatch=True)
domains = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,5}){0,3}", fullmatch=True)
others = st.builds(
    Principal,
    domain=domains,
    kind=st.sampled_from(sorted(set(Kind) - {Kind.OPERATOR}, key=str)),
    id=ids,
)
operators = st.builds(
    Principal, domain=domains, kind=st.just(Kind.OPERATOR), id=ids, role=st.sampled_from(Role)
)


@given(others | operators)
def test_a_principal_is_its_text(principal: Principal) -> None:
    assert parse_principal(str(principal)) == principal
    assert parse_device_id(principal.id) == principal.id


@given(others | operators, st.text(min_size=1, max_size=3), st.integers(0, 200))
def test_a_text_reads_as_itself_or_not_at_all(
    principal: Principal, inserted: str, place: int
) -> None:
    text = str(principal)
    changed = text[: place % len(text)] + inserted + text[place % len(text) :]
    try:
        assert str(parse_principal(changed)) == changed
    except IdentityError as error:
        assert "identity" in str(error)


@pytest.mark.parametrize(
    ("text", "kind", "role"),
    [
        ("spiffe://grid.example/cable/c-0001", Kind.CABLE, None),
        ("spiffe://grid.example/resource/r1", Kind.RESOURCE, None),
        ("spiffe://grid.example/market/jepx", Kind.MARKET, None),
        ("spiffe://grid.example/utility/u", Kind.UTILITY, None),
        ("spiffe://grid.example/manager/main", Kind.MANAGER, None),
        ("spiffe://grid.example/driver/d", Kind.DRIVER, None),
        ("spiffe://grid.example/operator/viewer/v", Kind.OPERATOR, Role.VIEWER),
        ("spiffe://grid.example/operator/operator/o", Kind.OPERATOR, Role.OPERATOR),
        ("spiffe://grid.example/operator/admin/a", Kind.OPERATOR, Role.ADMIN),
    ],
)
def test_every_kind_reads(text: str, kind: Kind, role: Role | None) -> None:
    principal = parse_principal(text)

    assert (principal.kind, principal.role, str(principal)) == (kind, role, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://grid..example/cable/c",
        "spiffe://.example/cable/c",
        "spiffe:///cable/c",
        "SPIFFE://grid.example/cable/c",
        "spiffe://grid.example/cable/-c",
        "spiffe://grid.example/cable/c-",
        "spiffe://grid.example/cable/c\n",
        "spiffe://grid.example/cable/ｃ",
        "spiffe://grid.example/cable/" + "c" * 65,
        "spiffe://" + "a" * 300 + "/cable/c",
    ],
)
def test_what_is_not_of_the_grammar_is_nobody(text: str) -> None:
    with pytest.raises(IdentityError):
        parse_principal(text)


def test_a_kind_is_never_a_role() -> None:
    assert not set(Kind) & set(Role)


def test_a_certificate_says_who_until_when_and_how_to_deny_it() -> None:
    now_s = float(int(time.time()))
    authority = Authority.create(domain="grid.example", now_s=now_s, days=10)
    principal = parse_principal("spiffe://grid.example/driver/d1")
    names = Names(principal=principal)
    certificate = authority.issue(names, public_key=new_key().public_key(), now_s=now_s, days=2)

    peer = read_peer(certificate_pem(certificate))

    assert peer.principal == principal
    assert peer.serial == f"{certificate.serial_number:x}"
    assert len(peer.fingerprint) == 64
    assert peer.not_after_s == now_s + 2 * 86_400


def test_nobody_calls_outside_of_a_call() -> None:
    with pytest.raises(LookupError):
        caller()
