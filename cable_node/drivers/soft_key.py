"""The cable's key in a file: for cables without a secure element, and for development.

ECDSA on P-256 over SHA-256, PKCS#8 in PEM, readable by its owner alone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cable_node.ports import InstrumentRefused, InstrumentUnavailable
from gridcord.evidence.signature import SoftwareSigner

_OWNER_ONLY = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SoftKey:
    """Implements `cable_node.ports.Signer`.

    Args:
        path: The key file.

    Raises:
        InstrumentUnavailable: No such file, or no permission.
        InstrumentRefused: Others may read it, or it holds no P-256 key.
    """

    def __init__(self, path: Path) -> None:
        self._signer = SoftwareSigner(_load(path))

    @classmethod
    def create(cls, path: Path) -> SoftKey:
        """Make a new key; its folder exists.

        Raises:
            InstrumentUnavailable: A file is there already (it is never overwritten: records
                signed with a lost key cannot be continued), or it cannot be written.
        """
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
        except OSError as failure:
            raise InstrumentUnavailable(f"cannot create a key: {failure}") from failure
        return cls(path)

    @property
    def algorithm(self) -> str:
        """`ECDSA-secp256r1-SHA256`."""
        return self._signer.algorithm

    @property
    def public_key_der(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return self._signer.public_key_der

    def sign(self, message: bytes) -> bytes:
        """Sign with SHA-256; DER."""
        return self._signer.sign(message)


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        mode, pem = path.stat().st_mode, path.read_bytes()
    except OSError as failure:
        raise InstrumentUnavailable(f"cannot read the key: {failure}") from failure
    if mode & _OTHERS:
        raise InstrumentRefused(f"{path} may be read by others than its owner")
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as failure:
        raise InstrumentRefused(f"{path} holds no key: {failure}") from failure
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise InstrumentRefused(f"{path} holds no P-256 key")
    return key
