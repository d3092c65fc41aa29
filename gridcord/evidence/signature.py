"""ECDSA over SHA-256 on the curves that OCMF names: who signs, and whether it is true.

Source: OCMF 1.3, section "Signature data" (field SA). Only SHA-256 is accepted; the published
verifier hashes with nothing else, whatever SA says.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

DEFAULT_ALGORITHM = "ECDSA-secp256r1-SHA256"

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "secp192r1": ec.SECP192R1,
    "secp256r1": ec.SECP256R1,
    "secp256k1": ec.SECP256K1,
    "secp384r1": ec.SECP384R1,
    "secp521r1": ec.SECP521R1,
    "brainpoolP256r1": ec.BrainpoolP256R1,
    "brainpoolP384r1": ec.BrainpoolP384R1,
    "brainpool256r1": ec.BrainpoolP256R1,
    "brainpool384r1": ec.BrainpoolP384R1,
}
_NAMES = {curve().name: name for name, curve in reversed(_CURVES.items())}
_SHA256 = ec.ECDSA(hashes.SHA256())
_UNCOMPRESSED = b"\x04"
_DER_SEQUENCE = 0x30


class SignatureError(ValueError):
    """A signature is not of this key over this text, or cannot be checked."""


class Signer(Protocol):
    """Holds a private key: in software, in a secure element, in a meter."""

    @property
    def algorithm(self) -> str:
        """OCMF's name of curve and hash, such as `ECDSA-secp256r1-SHA256`."""
        ...

    @property
    def public_key_der(self) -> bytes:
        """SubjectPublicKeyInfo (RFC 5480), DER."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign with SHA-256; the answer is a DER `Ecdsa-Sig-Value` (RFC 3279)."""
        ...


class SoftwareSigner:
    """A key in memory.

    Args:
        private_key: On one of OCMF's curves.

    Raises:
        SignatureError: The curve has no name in OCMF.
    """

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        if private_key.curve.name not in _NAMES:
            message = f"OCMF has no name for curve {private_key.curve.name}"
            raise SignatureError(message)
        self._key = private_key
        self.algorithm = f"ECDSA-{_NAMES[private_key.curve.name]}-SHA256"
        self.public_key_der = private_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @classmethod
    def generate(cls) -> SoftwareSigner:
        """Make a new P-256 key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    def sign(self, message: bytes) -> bytes:
        """Sign with SHA-256; the answer is DER."""
        return self._key.sign(message, _SHA256)


def check(*, message: bytes, signature: bytes, public_key: bytes, algorithm: str) -> None:
    """Check a signature.

    Args:
        message: The signed bytes, exactly as they were signed.
        signature: DER, or r and s of equal length one after the other.
        public_key: DER SubjectPublicKeyInfo, or the bare point with or without its leading 04.
        algorithm: As OCMF's SA.

    Raises:
        SignatureError: Not signed by this key, or key, curve or hash cannot be used.
    """
    key = _load(public_key, algorithm)
    try:
        key.verify(_der(signature, key.curve), message, _SHA256)
    except InvalidSignature:
        text = "the signature does not fit text and key"
        raise SignatureError(text) from None
    except UnsupportedAlgorithm as failure:
        raise SignatureError(str(failure)) from None


@lru_cache(maxsize=4096)
def _load(public_key: bytes, algorithm: str) -> ec.EllipticCurvePublicKey:
    curve = _curve(algorithm)
    try:
        key = _point(public_key, curve) or serialization.load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm, TypeError) as failure:
        text = f"no public key on {curve.name}: {failure}"
        raise SignatureError(text) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != curve.name:
        text = f"the key is not on {curve.name}"
        raise SignatureError(text)
    return key


def _curve(algorithm: str) -> ec.EllipticCurve:
    scheme, _, rest = algorithm.partition("-")
    name, _, digest = rest.partition("-")
    if scheme != "ECDSA" or digest != "SHA256" or name not in _CURVES:
        text = f"signature algorithm {algorithm[:40]!r} is not supported"
        raise SignatureError(text)
    return _CURVES[name]()


def _point(public_key: bytes, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey | None:
    """The key of a bare uncompressed point; None when it has not the length of one."""
    size = 2 * _octets(curve)
    if len(public_key) == size:
        public_key = _UNCOMPRESSED + public_key
    if len(public_key) != size + 1:
        return None
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, public_key)


def _der(signature: bytes, curve: ec.EllipticCurve) -> bytes:
    half = _octets(curve)
    if len(signature) != 2 * half or _is_der(signature):
        return signature
    r, s = signature[:half], signature[half:]
    return utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def _is_der(signature: bytes) -> bool:
    try:
        utils.decode_dss_signature(signature)
    except ValueError:
        return False
    return signature[0] == _DER_SEQUENCE


def _octets(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8
