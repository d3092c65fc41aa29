"""The aggregator's key that signs bundles, from a file."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from gridcord.evidence.signature import SignatureError, SoftwareSigner

_MOST_BYTES = 64 * 1024


def read_signing_key(path: Path) -> SoftwareSigner:
    """The key of a file, PEM or DER, without a password, on one of OCMF's curves.

    Raises:
        SignatureError: It is none; says why, never what is in the file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
        load = load_pem_private_key if data.startswith(b"-----") else load_der_private_key
        key = load(data, password=None)
    except OSError as failure:
        message = f"{path} cannot be read: {failure.strerror}"
        raise SignatureError(message) from failure
    except (ValueError, TypeError, UnsupportedAlgorithm):
        message = f"{path} is no private key without a password"
        raise SignatureError(message) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = f"{path} is no key for ECDSA"
        raise SignatureError(message)
    return SoftwareSigner(key)
