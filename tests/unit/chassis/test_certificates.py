"""The development authority and its folder."""

from __future__ import annotations

import stat
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from gridcord.chassis.certificates import Authority, AuthorityError, certificate_pem, load_key
from gridcord.chassis.credentials import CredentialsError, TlsFiles, load_identity
from gridcord.chassis.identity import IdentityError, parse_principal
from gridcord.chassis.pki import CERTIFICATE, KEY, ROOTS, PkiFolder

DOMAIN = "grid.example"
NOW_S = float(int(time.time()))
DAY_S = 86_400

MANAGER = parse_principal(f"spiffe://{DOMAIN}/manager/main")
CABLE = parse_principal(f"spiffe://{DOMAIN}/cable/c-0001")
ADMIN = parse_principal(f"spiffe://{DOMAIN}/operator/admin/alice")


@pytest.fixture
def pki(tmp_path: Path) -> PkiFolder:
    folder = PkiFolder(tmp_path / "pki")
    folder.create(domain=DOMAIN, now_s=NOW_S, days=100)
    return folder


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_client_is_its_one_uri_and_cannot_serve(pki: PkiFolder) -> None:
    certificate = read(pki.issue(CABLE, now_s=NOW_S, days=7).certificate)

    assert list(names(certificate)) == [x509.UniformResourceIdentifier(str(CABLE))]
    assert purposes(certificate) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert list(certificate.subject) == []
    key = certificate.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    assert isinstance(key.curve, SECP256R1)


def test_a_server_also_has_its_kinds_name_and_this_machines(pki: PkiFolder) -> None:
    certificate = read(pki.issue(MANAGER, now_s=NOW_S).certificate)
    found = names(certificate)

    assert found.get_values_for_type(x509.UniformResourceIdentifier) == [str(MANAGER)]
    assert found.get_values_for_type(x509.DNSName) == ["manager.grid.example", "localhost"]
    assert found.get_values_for_type(x509.IPAddress) == [
        ip_address("127.0.0.1"),
        ip_address("::1"),
    ]
    assert purposes(certificate) == [
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SERVER_AUTH,
    ]


def test_a_servers_own_addresses_replace_this_machines(pki: PkiFolder) -> None:
    files = pki.issue(MANAGER, now_s=NOW_S, dns=("m.example",), ips=(ip_address("192.0.2.7"),))
    found = names(read(files.certificate))

    assert found.get_values_for_type(x509.DNSName) == ["manager.grid.example", "m.example"]
    assert found.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.7")]


def test_a_life_is_as_long_as_asked_but_not_longer_than_the_authoritys(pki: PkiFolder) -> None:
    week = read(pki.issue(CABLE, now_s=NOW_S, days=7).certificate)
    year = read(pki.issue(ADMIN, now_s=NOW_S, days=365).certificate)
    begin = datetime.fromtimestamp(NOW_S, UTC)

    assert week.not_valid_after_utc == begin + timedelta(days=7)
    assert week.not_valid_before_utc == begin - timedelta(minutes=5)
    assert year.not_valid_after_utc == begin + timedelta(days=100)


def test_an_authority_vouches_for_ends_only_and_in_its_domain_only(pki: PkiFolder) -> None:
    authority = pki.load()
    basic = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)

    assert (basic.value.ca, basic.value.path_length) == (True, 0)
    assert authority.domain == DOMAIN
    with pytest.raises(AuthorityError, match=r"other\.example"):
        pki.issue(parse_principal("spiffe://other.example/cable/c"), now_s=NOW_S)


def test_files_are_their_owners_only_and_never_overwritten(pki: PkiFolder) -> None:
    files = pki.issue(CABLE, now_s=NOW_S)
    before = {path: path.read_bytes() for path in pki.path.rglob("*.pem")}

    assert {path.name for path in files.certificate.parent.iterdir()} == {CERTIFICATE, KEY, ROOTS}
    assert {stat.S_IMODE(path.stat().st_mode) for path in before} == {0o600}
    with pytest.raises(FileExistsError):
        pki.issue(CABLE, now_s=NOW_S)
    with pytest.raises(FileExistsError):
        pki.create(domain=DOMAIN, now_s=NOW_S)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("with_new_key", [False, True])
def test_renewal_keeps_the_names_and_starts_a_new_life(pki: PkiFolder, with_new_key: bool) -> None:
    files = pki.issue(MANAGER, now_s=NOW_S, days=7)
    assert files.key is not None
    old, old_key = read(files.certificate), files.key.read_bytes()

    peer = pki.renew(
        files.certificate.parent, now_s=NOW_S + 5 * DAY_S, days=7, with_new_key=with_new_key
    )

    new = read(files.certificate)
    assert names(new) == names(old)
    assert new.serial_number != old.serial_number
    assert peer.not_after_s == NOW_S + 12 * DAY_S
    assert (files.key.read_bytes() != old_key) is with_new_key
    assert load_identity(files).principal == MANAGER
    assert sorted(path.name for path in files.certificate.parent.iterdir()) == [
        CERTIFICATE,
        KEY,
        ROOTS,
    ]


def test_renewal_is_due_after_two_thirds_of_a_life(pki: PkiFolder) -> None:
    identity = load_identity(pki.issue(CABLE, now_s=NOW_S, days=9))
    life_s = identity.own.not_after_s - identity.not_before_s

    assert identity.renew_at_s == pytest.approx(identity.not_before_s + life_s * 2 / 3)
    assert not identity.renewal_due(NOW_S + 5 * DAY_S)
    assert identity.renewal_due(NOW_S + 7 * DAY_S)


def test_without_an_authority_nothing_is_issued(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="gridcord ca init"):
        PkiFolder(tmp_path).issue(CABLE, now_s=NOW_S)


@pytest.mark.parametrize(
    ("certificate", "key"), [(b"", None), (None, b""), (None, b"-----BEGIN PRIVATE KEY-----\n")]
)
def test_a_damaged_authority_is_named(
    pki: PkiFolder, certificate: bytes | None, key: bytes | None
) -> None:
    for name, content in ((CERTIFICATE, certificate), (KEY, key)):
        if content is not None:
            (pki.path / "ca" / name).write_bytes(content)

    with pytest.raises(AuthorityError):
        pki.load()


def test_an_authority_without_its_key_is_named(pki: PkiFolder, tmp_path: Path) -> None:
    other = Authority.create(domain=DOMAIN, now_s=NOW_S, days=1)
    own_key = (pki.path / "ca" / KEY).read_bytes()

    with pytest.raises(AuthorityError, match="certificate's"):
        Authority.load(certificate_pem(other.certificate), own_key)


def _damage(files: TlsFiles, field: str, content: bytes | None) -> None:
    path: Path = getattr(files, field)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


ED25519 = Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


@pytest.mark.parametrize(
    ("field", "content", "match"),
    [
        ("certificate", None, "cannot read"),
        ("key", None, "cannot read"),
        ("roots", None, "cannot read"),
        ("certificate", b"junk", "no PEM certificate"),
        ("roots", b"", "no PEM certificate"),
        ("key", b"junk", "no unencrypted PEM key"),
        ("key", ED25519, "not an ECDSA P-256 key"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    pki: PkiFolder, field: str, content: bytes | None, match: str
) -> None:
    files = pki.issue(CABLE, now_s=NOW_S)
    _damage(files, field, content)

    with pytest.raises(CredentialsError, match=match):
        load_identity(files)


def test_a_key_of_somebody_else_is_named(pki: PkiFolder) -> None:
    ours, theirs = pki.issue(CABLE, now_s=NOW_S), pki.issue(ADMIN, now_s=NOW_S)

    with pytest.raises(CredentialsError, match="is not the key of"):
        load_identity(TlsFiles(certificate=ours.certificate, key=theirs.key, roots=ours.roots))


def test_a_certificate_that_names_nobody_is_no_identity(pki: PkiFolder) -> None:
    files = pki.issue(CABLE, now_s=NOW_S)
    files.certificate.write_bytes((pki.path / "ca" / CERTIFICATE).read_bytes())

    with pytest.raises(CredentialsError, match="no identity of this system"):
        load_identity(files)
    with pytest.raises(IdentityError):
        pki.renew(files.certificate.parent, now_s=NOW_S)
    with pytest.raises(AuthorityError):
        load_key(ED25519)
