"""What every signer promises (`cable_node.ports.Signer`), on the key in a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cable_node.drivers.soft_key import SoftKey
from cable_node.ports import InstrumentRefused, InstrumentUnavailable, Signer

P256_SHA256 = ec.ECDSA(hashes.SHA256())


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return SoftKey.create(tmp_path / "cable.key")


def test_anyone_can_check_a_signature(signer: Signer) -> None:
    key = serialization.load_der_public_key(signer.public_key_der)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert signer.algorithm == "ECDSA-secp256r1-SHA256"
    signature = signer.sign(b"30 minutes")
    key.verify(signature, b"30 minutes", P256_SHA256)
    with pytest.raises(InvalidSignature):
        key.verify(signature, b"31 minutes", P256_SHA256)


def test_key_stays_the_same(tmp_path: Path) -> None:
    created = SoftKey.create(tmp_path / "cable.key")
    assert SoftKey(tmp_path / "cable.key").public_key_der == created.public_key_der
    assert (tmp_path / "cable.key").stat().st_mode & 0o777 == 0o600


def test_key_is_never_overwritten(tmp_path: Path) -> None:
    before = SoftKey.create(tmp_path / "cable.key").public_key_der
    with pytest.raises(InstrumentUnavailable):
        SoftKey.create(tmp_path / "cable.key")
    assert SoftKey(tmp_path / "cable.key").public_key_der == before


def test_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    SoftKey.create(tmp_path / "cable.key")
    (tmp_path / "cable.key").chmod(0o640)
    with pytest.raises(InstrumentRefused, match="others"):
        SoftKey(tmp_path / "cable.key")


def test_missing_key_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(InstrumentUnavailable):
        SoftKey(tmp_path / "none.key")


@pytest.mark.parametrize("curve", [None, ec.SECP384R1()])
def test_what_is_no_p256_key_is_refused(tmp_path: Path, curve: ec.EllipticCurve | None) -> None:
    pem = b"no key"
    if curve is not None:
        pem = ec.generate_private_key(curve).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    path = tmp_path / "cable.key"
    path.write_bytes(pem)
    path.chmod(0o600)
    with pytest.raises(InstrumentRefused):
        SoftKey(path)
