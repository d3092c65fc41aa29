"""Our own records: written exactly, believed only as they were signed."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pyocmf
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcord.evidence import ocmf
from gridcord.metering.reading import ClockState, ReadingQuality
from gridcord.units import CableId, DriverId, Period
from tests.unit.evidence.records import METER, START_S, fiscal

SIGNER = ocmf.SoftwareSigner.generate()
KEY = SIGNER.public_key_der


def altered(**changes: Any) -> ocmf.FiscalRecord:
    transfer = dataclasses.replace(fiscal().transfer, **changes)
    return dataclasses.replace(fiscal(), transfer=transfer)


def signed(record: ocmf.FiscalRecord) -> str:
    return ocmf.sign(ocmf.payload_text(record), SIGNER)


def test_the_text_is_what_the_published_verifier_accepted() -> None:
    payload = ocmf.payload_text(fiscal())
    head, rows = payload.split('"RD":', 1)
    assert head == (
        '{"FV":"1.3","GI":"gridcord-cable","GS":"cable-34","GV":"0.1","PG":"F1",'
        '"MV":"Eastron","MM":"SDM230","MS":"23100147","MF":"1.0",'
    )
    begin, end = "2026-11-23T16:30:00,000+0900 S", "2026-11-23T17:00:00,000+0900 S"
    expected = [
        f'{{"TM":"{tm}","RV":{rv},"RI":"01-00:{code}.08.00*FF","RU":"kWh","RT":"AC",'
        f'"EF":"","ST":"G"}}'
        for tm, rv, code in (
            (begin, "10.000", "B0"),
            (begin, "5.000", "C0"),
            (end, "10.450", "B0"),
            (end, "5.750", "C0"),
        )
    ]
    assert rows.startswith("[" + ",".join(expected) + '],"XV2G":{"epoch":"1","seq":1,')
    assert len(signed(fiscal())) < 1100


def test_a_record_comes_back_as_it_was() -> None:
    assert ocmf.verify(signed(fiscal()), KEY) == fiscal()
    assert fiscal().transfer.transferred_wh == -300


@pytest.mark.parametrize(
    ("state", "flag"),
    [(ClockState.SYNCED, "S"), (ClockState.HOLDOVER, "I"), (ClockState.UNKNOWN, "U")],
)
def test_the_time_says_what_the_clock_was_worth(state: ClockState, flag: str) -> None:
    record = altered(clock_state=state)
    assert f'+0900 {flag}"' in ocmf.payload_text(record)
    assert ocmf.verify(signed(record), KEY) == record


def test_pyocmf_accepts_our_record_and_refuses_one_changed_digit() -> None:
    text = signed(fiscal())
    assert pyocmf.OCMF.from_string(text).verify_signature(KEY.hex())
    for position in (
        found.start() for found in re.finditer("[0-9]", ocmf.parse(text).payload_text)
    ):
        at = position + len("OCMF|")
        digit = "7" if text[at] != "7" else "8"
        changed = text[:at] + digit + text[at + 1 :]
        with pytest.raises(ocmf.OcmfError):
            ocmf.verify(changed, KEY)
    changed = text.replace("10.450", "10.950")
    assert not pyocmf.OCMF.from_string(changed).verify_signature(KEY.hex())


def test_every_character_of_the_signed_text_counts() -> None:
    text = signed(fiscal())
    payload = ocmf.parse(text).payload_text
    for at in range(len("OCMF|"), len("OCMF|") + len(payload)):
        other = chr(ord(text[at]) ^ 1)
        with pytest.raises(ocmf.OcmfError):
            ocmf.verify(text[:at] + other + text[at + 1 :], KEY)


@pytest.mark.parametrize("direction", list(ocmf.Direction))
def test_transactions_pass_pyocmf_as_complete(direction: ocmf.Direction) -> None:
    record = ocmf.TransactionRecord(
        cable_id=CableId("cable-34"),
        pagination=3,
        meter=METER,
        firmware="0.1",
        driver_id=DriverId("driver-80"),
        direction=direction,
        begin_s=START_S,
        end_s=START_S + 5_400,
        begin_wh=10_000,
        end_wh=12_345,
        utc_offset_min=540,
    )
    text = ocmf.sign(ocmf.transaction_text(record), SIGNER)
    assert ocmf.verify_transaction(text, KEY) == record
    assert record.energy_wh == 2345
    theirs = pyocmf.OCMF.from_string(text)
    assert theirs.verify_signature(KEY.hex())
    assert theirs.check_eichrecht(errors_only=True) == []
    with pytest.raises(ocmf.OcmfFormatError):
        ocmf.verify(text, KEY)


@pytest.mark.parametrize(
    "curve",
    [
        ec.SECP192R1(),
        ec.SECP256R1(),
        ec.SECP256K1(),
        ec.SECP384R1(),
        ec.SECP521R1(),
        ec.BrainpoolP256R1(),
        ec.BrainpoolP384R1(),
    ],
    ids=lambda curve: curve.name,
)
@pytest.mark.parametrize("form", ["der", "raw"])
@pytest.mark.parametrize("key_form", ["spki", "point", "bare"])
def test_curves_keys_and_signatures_in_every_form(
    curve: ec.EllipticCurve, form: str, key_form: str
) -> None:
    private = ec.generate_private_key(curve)
    signer = ocmf.SoftwareSigner(private)
    text = ocmf.sign(ocmf.payload_text(fiscal()), signer)
    numbers = private.public_key().public_numbers()
    size = (curve.key_size + 7) // 8
    bare = numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
    key = {"spki": signer.public_key_der, "point": b"\x04" + bare, "bare": bare}[key_form]
    if form == "raw":
        der = ocmf.parse(text).signature
        r, s = utils.decode_dss_signature(der)
        raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
        text = text.replace(der.hex().upper(), raw.hex())
    assert ocmf.verify(text, key) == fiscal()
    with pytest.raises(ocmf.OcmfSignatureError):
        ocmf.verify(text.replace("10.450", "10.451"), key)


def test_another_key_or_curve_does_not_do() -> None:
    others = [
        ocmf.SoftwareSigner.generate().public_key_der,
        ocmf.SoftwareSigner(ec.generate_private_key(ec.SECP256K1())).public_key_der,
        b"",
        b"\x04" + bytes(64),
    ]
    for key in others:
        with pytest.raises(ocmf.OcmfSignatureError):
            ocmf.verify(signed(fiscal()), key)


@pytest.mark.parametrize(
    "change",
    [
        {"FV": "1.4"},
        {"PG": "F0"},
        {"PG": "T1"},
        {"PG": 1},
        {"GS": "no id"},
        {"RD": []},
        {"RD": None},
        {"XV2G": None},
        {"XV2G": {}},
        {"MV": 3},
    ],
)
def test_signed_nonsense_is_refused_by_name(change: dict[str, Any]) -> None:
    payload = {**json.loads(ocmf.payload_text(fiscal())), **change}
    with pytest.raises(ocmf.OcmfFormatError):
        ocmf.verify(ocmf.sign(json.dumps(payload), SIGNER), KEY)


@pytest.mark.parametrize("value", ["10.45", "10.4500", '"10.450"', "10450", "1e1", "-1.000"])
def test_registers_are_kwh_with_three_decimals(value: str) -> None:
    payload = ocmf.payload_text(fiscal()).replace("10.450", value)
    with pytest.raises(ocmf.OcmfFormatError):
        ocmf.verify(ocmf.sign(payload, SIGNER), KEY)


def test_two_values_of_one_name_are_refused() -> None:
    payload = ocmf.payload_text(fiscal()).replace('{"FV"', '{"PG":"F9","FV"')
    with pytest.raises(ocmf.OcmfFormatError, match="twice"):
        ocmf.verify(ocmf.sign(payload, SIGNER), KEY)


def test_unknown_names_are_tolerated() -> None:
    payload = ocmf.payload_text(fiscal()).replace('"epoch":"1"', '"epoch":"1","news":[1]')
    assert ocmf.verify(ocmf.sign(payload, SIGNER), KEY) == fiscal()


def test_an_epoch_is_text_that_no_json_reader_cuts() -> None:
    record = dataclasses.replace(fiscal(), journal_epoch=2**63 - 1)
    payload = ocmf.payload_text(record)
    assert '"epoch":"7fffffffffffffff"' in payload
    earlier = payload.replace('"7fffffffffffffff"', str(2**63 - 1))
    assert ocmf.verify(ocmf.sign(earlier, SIGNER), KEY) == record
    for wrong in ('"07"', '"0x7"', '"7F"', '""', '"' + "1" * 17 + '"', "-1", "1.0", "null"):
        other = payload.replace('"7fffffffffffffff"', wrong)
        with pytest.raises(ocmf.OcmfFormatError):
            ocmf.verify(ocmf.sign(other, SIGNER), KEY)


@pytest.mark.parametrize(
    "change", [{"pagination": 0}, {"journal_epoch": -1}, {"utc_offset_min": 1000}]
)
def test_a_record_cannot_be_numbered_wrong(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"numbers|epoch|offset"):
        dataclasses.replace(fiscal(), **change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"step_wh": 0}, "count"),
        ({"missing_s": -1}, "missing"),
        ({"period": Period(START_S).next()}, "period"),
        ({"end_s": START_S + 1801}, "period"),
        ({"end_s": START_S - 1}, "period"),
        ({"clock_state": ClockState.UNKNOWN, "boot_id": ""}, "boot"),
        ({"site_to_vehicle_end_wh": 9_999}, "fall"),
        ({"vehicle_to_site_start_wh": -1}, "fall"),
        ({"fiscal_record": "OCMF|"}, "own text"),
    ],
)
def test_a_record_cannot_be_wrong(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        altered(**change)


@settings(max_examples=300)
@given(
    registers=st.lists(st.integers(0, 2**62), min_size=4, max_size=4),
    times=st.tuples(st.integers(0, 1800), st.integers(0, 1800)),
    offset=st.integers(-14 * 60, 14 * 60),
    quality=st.sampled_from(ReadingQuality),
    text=st.text(st.characters(codec="utf-8"), max_size=20),
    epoch=st.integers(0, 2**64 - 1),
)
def test_whatever_is_written_is_read(
    registers: list[int],
    times: tuple[int, int],
    offset: int,
    quality: ReadingQuality,
    text: str,
    epoch: int,
) -> None:
    charged, discharged = sorted(registers[:2]), sorted(registers[2:])
    begin, end = sorted(times)
    record = dataclasses.replace(
        altered(
            start_s=START_S + begin,
            end_s=START_S + end,
            site_to_vehicle_start_wh=charged[0],
            site_to_vehicle_end_wh=charged[1],
            vehicle_to_site_start_wh=discharged[0],
            vehicle_to_site_end_wh=discharged[1],
            quality=quality,
            boot_id=text,
        ),
        utc_offset_min=offset,
        journal_epoch=epoch,
        meter=dataclasses.replace(METER, vendor=text),
    )
    payload = ocmf.payload_text(record)
    assert "|" not in payload
    assert ocmf.fiscal_record(ocmf.parse(f"OCMF|{payload}|" + '{"SD":"00"}').payload) == record
