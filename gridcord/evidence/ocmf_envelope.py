"""The three parts of an OCMF text, `OCMF|payload|signature`, and their JSON.

The signed bytes are the payload text exactly as it stands. Source: OCMF 1.3, section "Format".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridcord.evidence import signature
from gridcord.evidence.signature import DEFAULT_ALGORITHM, SignatureError, Signer

HEADER = "OCMF"
MOST_CHARACTERS = 64 * 1024
_BAR = "|"


class OcmfError(ValueError):
    """A text is no OCMF record that can be believed; says why."""


class OcmfFormatError(OcmfError):
    """It is not OCMF, or not of the kind expected."""


class OcmfSignatureError(OcmfError):
    """It is OCMF, but not signed by the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An OCMF text taken apart, not yet believed.

    Args:
        payload_text: The signed text.
        payload: Its content; decimal literals are `Decimal`.
        algorithm: SA; P-256 with SHA-256 when it was absent.
        signature: SD, decoded.
    """

    payload_text: str
    payload: Mapping[str, Any]
    algorithm: str
    signature: bytes


def parse(text: str) -> Document:
    """Take an OCMF text apart.

    Raises:
        OcmfFormatError: It is none.
    """
    if len(text) > MOST_CHARACTERS:
        raise OcmfFormatError(f"longer than {MOST_CHARACTERS} characters")
    parts = text.strip().split(_BAR, 1)
    if len(parts) != 2 or parts[0] != HEADER or _BAR not in parts[1]:
        raise OcmfFormatError("not of the form OCMF|payload|signature")
    payload_text, signature_text = parts[1].rsplit(_BAR, 1)
    fields = _object(signature_text, "signature")
    return Document(
        payload_text=payload_text,
        payload=_object(payload_text, "payload"),
        algorithm=_text(fields.get("SA", DEFAULT_ALGORITHM), "SA"),
        signature=_signature_bytes(fields),
    )


def check(document: Document, public_key: bytes) -> None:
    """Check the signature of a document.

    Args:
        document: From `parse`.
        public_key: DER SubjectPublicKeyInfo or the bare point.

    Raises:
        OcmfSignatureError: It is not signed by the key.
    """
    try:
        signature.check(
            message=document.payload_text.encode(),
            signature=document.signature,
            public_key=public_key,
            algorithm=document.algorithm,
        )
    except (SignatureError, UnicodeEncodeError) as failure:
        raise OcmfSignatureError(str(failure)) from None


def sign(payload: str, signer: Signer) -> str:
    """Sign a payload text.

    Args:
        payload: JSON without a bar, as `render` makes it.
        signer: Holds the key.

    Returns:
        The OCMF text.

    Raises:
        OcmfFormatError: The payload holds a bar.
    """
    if _BAR in payload:
        raise OcmfFormatError("a payload holds no '|'")
    value = signer.sign(payload.encode()).hex().upper()
    return f"{HEADER}|{payload}|" + render({"SA": signer.algorithm, "SD": value})


def decode_key(text: str) -> bytes:
    """Decode a public key written in hexadecimal or base64, blanks ignored.

    Raises:
        OcmfFormatError: It is neither.
    """
    compact = "".join(text.split())
    try:
        return bytes.fromhex(compact)
    except ValueError:
        return _base64(compact, "public key")


def render(value: object) -> str:
    """Write JSON without blanks; a `Decimal` keeps every digit, a bar is escaped.

    Floats are not accepted: a register is exact.
    """
    if isinstance(value, Mapping):
        pairs = (f"{_quoted(key)}:{render(item)}" for key, item in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, Sequence):
        return "[" + ",".join(map(render, value)) + "]"
    message = f"not written to OCMF: {type(value).__name__}"
    raise TypeError(message)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=True).replace(_BAR, "\\u007c")


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(
            text, parse_float=_decimal, parse_constant=_no_number, object_pairs_hook=_unique
        )
    except OcmfFormatError:
        raise
    except (ValueError, RecursionError) as failure:
        raise OcmfFormatError(f"{what} is no JSON: {failure}") from None
    if not isinstance(value, dict):
        raise OcmfFormatError(f"{what} is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are unique: readers differ in which of two they believe."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise OcmfFormatError("a name stands twice in one object")
    return value


def _decimal(literal: str) -> Decimal:
    value = Decimal(literal)
    if not value.is_finite() or abs(value.adjusted()) > 30:
        raise OcmfFormatError(f"no sensible number: {literal[:40]}")
    return value


def _no_number(literal: str) -> None:
    raise OcmfFormatError(f"no JSON number: {literal}")


def _signature_bytes(fields: Mapping[str, Any]) -> bytes:
    data = _text(fields.get("SD"), "SD")
    encoding = fields.get("SE", "hex")
    if encoding == "base64":
        return _base64(data, "SD")
    try:
        return bytes.fromhex(data)
    except ValueError:
        raise OcmfFormatError("SD is not hexadecimal") from None


def _base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise OcmfFormatError(f"{what} is neither hexadecimal nor base64") from None


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise OcmfFormatError(f"{name} is no text")
    return value
