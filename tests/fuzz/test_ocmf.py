"""Whatever arrives as a signed record: a record or a declared error, never a crash, never a lie."""

from __future__ import annotations

import json
import random
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridcord.evidence import ocmf
from gridcord.evidence.ocmf import Direction
from gridcord.units import CableId, DriverId
from tests.unit.evidence.records import METER, START_S, fiscal

SIGNER = ocmf.SoftwareSigner.generate()
KEY = SIGNER.public_key_der
RECORD = ocmf.sign(ocmf.payload_text(fiscal()), SIGNER)
TRANSACTION = ocmf.sign(
    ocmf.transaction_text(
        ocmf.TransactionRecord(
            cable_id=CableId("cable-34"),
            pagination=1,
            meter=METER,
            firmware="0.1",
            driver_id=DriverId("driver-80"),
            direction=Direction.EXPORT,
            begin_s=START_S,
            end_s=START_S + 3600,
            begin_wh=0,
            end_wh=1500,
        )
    ),
    SIGNER,
)
PIECES = ("{", "}", "[", "]", '"', ",", ":", "|", "\\u007c", "\\ud800", "NaN", "1e999", "\x00", "٣")

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=20,
)


def attempt(text: str, key: bytes = KEY) -> object:
    """A record, or None when it was refused in the declared way."""
    for read in (ocmf.verify, ocmf.verify_transaction):
        try:
            return read(text, key)
        except ocmf.OcmfError:
            continue
    return None


@settings(max_examples=1500, deadline=None)
@given(text=st.text(max_size=400))
@example(text="OCMF||")
@example(text='OCMF|{}|{"SD":"00"}')
@example(text='OCMF|{"a":' + "[" * 5000 + '|{"SD":""}')
@example(text='OCMF|{"a":1' + "0" * 5000 + '}|{"SD":""}')
def test_any_text(text: str) -> None:
    assert attempt(text) is None


@settings(max_examples=400, deadline=None)
@given(payload=JSON, signature=JSON)
def test_any_json(payload: object, signature: object) -> None:
    text = f"OCMF|{json.dumps(payload)}|{json.dumps(signature)}"
    assert attempt(text) is None


@settings(max_examples=800, deadline=None)
@given(key=st.binary(max_size=150))
def test_any_key(key: bytes) -> None:
    assert attempt(RECORD, key) is None


@pytest.mark.parametrize("original", [RECORD, TRANSACTION], ids=["fiscal", "transaction"])
def test_mutated_records_are_refused_or_say_the_same(original: str) -> None:
    """A change that survives is one outside the signed text that changes nothing it says."""
    source, told = random.Random(8), attempt(original)
    assert told is not None
    for _ in range(3000):
        text = mutated(source, original)
        found = attempt(text)
        assert found in (None, told)
        if found is not None:
            assert ocmf.parse(text).payload_text == ocmf.parse(original).payload_text


def test_signed_nonsense_is_refused_by_name() -> None:
    """Even who has the key cannot crash a reader."""
    source, payload = random.Random(9), ocmf.payload_text(fiscal())
    for _ in range(2000):
        text = mutated(source, payload).replace("|", "")
        try:
            signed = ocmf.sign(text, SIGNER)
        except UnicodeEncodeError:
            continue
        attempt(signed)


@settings(max_examples=400, deadline=None)
@given(place=st.sampled_from(sorted(json.loads(ocmf.payload_text(fiscal())))), value=JSON)
def test_any_value_anywhere_signed(place: str, value: object) -> None:
    fields = json.loads(ocmf.payload_text(fiscal())) | {place: value}
    text = json.dumps(fields).replace("|", "\\u007c")
    found = attempt(ocmf.sign(text, SIGNER))
    assert found is None or isinstance(found, ocmf.FiscalRecord)


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(("epoch", "seq", "start", "length", "step", "pos", "site")), value=JSON)
def test_any_vendor_value_signed(name: str, value: object) -> None:
    payload = ocmf.payload_text(fiscal())
    head, vendor = payload.split('"XV2G":', 1)
    fields = json.loads(vendor[:-1]) | {name: value}
    text = json.dumps(fields).replace("|", "\\u007c")
    found = attempt(ocmf.sign(f'{head}"XV2G":{text}}}', SIGNER))
    assert found is None or isinstance(found, ocmf.FiscalRecord)


def mutated(source: random.Random, text: str) -> str:
    for _ in range(source.randrange(1, 4)):
        at, width = source.randrange(len(text)), source.choice((0, 1, 1, 1, 8))
        piece = source.choice((*PIECES, *string.printable, ""))
        text = text[:at] + piece + text[at + width :]
    return text
