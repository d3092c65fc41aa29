"""Records of other makers, and the nine shapes that the published S.A.F.E. verifier was shown.

Their data is not part of the project: these tests skip without it. What they prove (curves, key and
signature forms, refusal of what was changed) is proven on records made here in test_ocmf.py.
"""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pyocmf
import pytest

from gridcord.evidence import ocmf
from tests.reference_data import reference

FIT, FAIL = True, False

# By file, in order: does each record's signature fit its key?
SAMPLES = {
    "20211007-device-with-evt-ocmf-sss-ses.xml": (FIT, FIT),
    "OCMF-receipt-with_import_and_export.xml": (FAIL,),  # in no form of its blanks
    "OCMF_Test_Data_00.xml": (FIT, FIT),
    "Ocmf_Example_OBIS_98.8.0_2.8.0.xml": (FIT,),
    "brainpoolP256r1.xml": (FIT, FIT),
    "chargepoint_3.xml": (FIT,),
    "nistP384_0Wh.xml": (FIT, FIT),
    "ocmf_tariff_1.xml": (FIT,),
    "second_key_fail_ocmf.xml": (FIT, FAIL),  # the second key is of another device
    "test.xml": (FIT, FAIL),  # secp192r1; the second signature is no DER
    "test_ocmf_ebee_01.xml": (FIT, FIT),
    "test_ocmf_ebee_02.xml": (FAIL, FIT),  # one digit was changed
}

# Verdict of the S.A.F.E. verifier's rules by pyocmf: signature, number of issues.
SHAPES = {
    "A import T, two readings B/E": (FIT, 0),
    "B export T C0 B/E": (FIT, 0),
    "C both dirs T B/E": (FIT, 4),
    "D both dirs 1.8.0/2.8.0 T B/E": (FIT, 0),
    "E fiscal F, both dirs, no TX": (FIT, 0),
    "F FV 1.4": (FIT, 0),
    "G export by 2.8.0 only": (FIT, 2),
    "H fiscal + vendor extension X*": (FIT, 0),
    "I tampered": (FAIL, 0),
}


def fits(text: str, key: str) -> bool:
    try:
        ocmf.verify_document(text, ocmf.decode_key(key))
    except ocmf.OcmfError:
        return False
    return True


def samples(name: str) -> Iterator[tuple[str, str]]:
    content = reference(f"device/ocmf/{name}").read_bytes().strip()
    for value in ET.fromstring(content).iter("value"):
        text, key = value.findtext("signedData"), value.findtext("publicKey")
        assert text is not None
        assert key is not None
        yield text.strip(), key


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_of_safe_verify_and_fail_as_they_should(name: str) -> None:
    found = tuple(fits(text, key) for text, key in samples(name))
    assert found == SAMPLES[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_one_changed_digit_fails_every_sample(name: str) -> None:
    for text, key in samples(name):
        at = text.index('"TM"') + text[text.index('"TM"') :].index("20")
        changed = text[:at] + "1" + text[at + 1 :]
        assert not fits(changed, key)


def test_a_record_signed_inside_a_real_meter_verifies() -> None:
    text, key = reference("device/ocmf/everest_EM580_brainpoolP384r1.txt").read_text().splitlines()
    assert fits(text, key)
    assert not fits(text.replace("1.643", "1.644"), key)


def shapes() -> dict[str, tuple[str, str]]:
    lines = reference("device/ocmf/ours_signed_cases.tsv").read_text().splitlines()
    rows = (line.split("\t") for line in lines)
    return {name: (text, key) for name, text, key in rows}


@pytest.mark.parametrize("name", SHAPES)
def test_the_nine_shapes(name: str) -> None:
    text, key = shapes()[name]
    expected, issues = SHAPES[name]
    assert fits(text, key) is expected
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pyocmf.OCMF.from_string(text)
        assert theirs.verify_signature(key) is expected
        assert len(theirs.check_eichrecht(errors_only=True)) == issues


def test_there_are_no_other_shapes() -> None:
    assert set(shapes()) == set(SHAPES)
