"""Signed records of a cable in the Open Charge Metering Format (OCMF 1.3).

    OCMF|{"FV":"1.3","GS":"cable-34","PG":"F17","RD":[...],"XV2G":{...}}|{"SA":...,"SD":...}

`payload_text` and `transaction_text` write what is signed, `sign` signs it, `verify` and
`verify_transaction` believe a text only under the right key. `parse` and `check` do the same for
the records of any other device.
"""

from __future__ import annotations

from gridcord.evidence.fiscal_record import FiscalRecord, MeterIdentity
from gridcord.evidence.ocmf_content import fiscal_record
from gridcord.evidence.ocmf_envelope import (
    Document,
    OcmfError,
    OcmfFormatError,
    OcmfSignatureError,
    check,
    decode_key,
    parse,
    sign,
)
from gridcord.evidence.ocmf_payload import payload_text
from gridcord.evidence.signature import SignatureError, Signer, SoftwareSigner
from gridcord.evidence.transaction_record import (
    Direction,
    TransactionRecord,
    transaction_record,
    transaction_text,
)

__all__ = [
    "Direction",
    "Document",
    "FiscalRecord",
    "MeterIdentity",
    "OcmfError",
    "OcmfFormatError",
    "OcmfSignatureError",
    "SignatureError",
    "Signer",
    "SoftwareSigner",
    "TransactionRecord",
    "check",
    "decode_key",
    "fiscal_record",
    "parse",
    "payload_text",
    "sign",
    "transaction_record",
    "transaction_text",
    "verify",
    "verify_document",
    "verify_transaction",
]


def verify_document(text: str, public_key: bytes) -> Document:
    """Check any OCMF text, of whatever device.

    Args:
        text: `OCMF|payload|signature`.
        public_key: DER SubjectPublicKeyInfo, or the bare point with or without its leading 04.

    Raises:
        OcmfError: It is not OCMF, or not signed by the key.
    """
    document = parse(text)
    check(document, public_key)
    return document


def verify(text: str, public_key: bytes) -> FiscalRecord:
    """Check and read a fiscal record of a cable.

    Raises:
        OcmfError: Not OCMF, not signed by the key, or no fiscal record of a cable.
    """
    return fiscal_record(verify_document(text, public_key).payload)


def verify_transaction(text: str, public_key: bytes) -> TransactionRecord:
    """Check and read a transaction record of a cable.

    Raises:
        OcmfError: Not OCMF, not signed by the key, or no transaction record of a cable.
    """
    return transaction_record(verify_document(text, public_key).payload)
