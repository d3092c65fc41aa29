"""What a cable sends, from messages to values."""

from __future__ import annotations

import grpc
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from google.protobuf.message import DecodeError

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.api.manager.v1 import journal_pb2
from gridcord.chassis.failures import Failure
from gridcord.session.entry import EntryKey, digest_of
from gridcord.session.manager import Offer
from gridcord.session.opening import CableHello
from gridcord.units import CableId, DriverId, VehicleId, parse_device_id
from gridcord.wire.readings import asset_loading_from_proto, clock_state_from_proto
from gridcord.wire.values import (
    WireError,
    check_text,
    position_from_proto,
    site_id_from_proto,
    time_from_proto,
)
from manager.domain.records.cable_session import CableIntroduction
from manager.ports import ReceivedEntry

HELLO_EXPECTED = "HELLO_EXPECTED"
HELLO_INVALID = "HELLO_INVALID"
ENTRY_INVALID = "ENTRY_INVALID"
IDENTITY_MISMATCH = "IDENTITY_MISMATCH"

PROTOCOL_VERSION = 1
MAX_POWER_W = 350_000
MAX_BODY = 32_768
MAX_SIGNATURE = 128
MAX_BATCH = 100
BODY_MALFORMED = "BODY_MALFORMED"

_KINDS = {
    "transfer": "TRANSFER",
    "observation": "OBSERVATION",
    "event": "EVENT",
    "active_proof": "PROOF",
    None: "UNKNOWN",
}


def identity_mismatch(claimed: str) -> Failure:
    """A cable names another one than its certificate does."""
    return Failure(
        grpc.StatusCode.PERMISSION_DENIED,
        IDENTITY_MISMATCH,
        "the id in the message is not the certificate's",
        claimed=claimed[:64],
    )


def introduction_from_proto(hello: pb.CableHello, cable_id: str) -> CableIntroduction:
    """What a cable says of itself; the identity is the certificate's.

    Raises:
        Failure: HELLO_INVALID, or IDENTITY_MISMATCH when it names another cable.
    """
    if hello.cable_id and hello.cable_id != cable_id:
        raise identity_mismatch(hello.cable_id)
    try:
        return _introduction(hello, cable_id)
    except ValueError as error:
        raise Failure(grpc.StatusCode.INVALID_ARGUMENT, HELLO_INVALID, str(error)) from None


def _introduction(hello: pb.CableHello, cable_id: str) -> CableIntroduction:
    if hello.protocol_version != PROTOCOL_VERSION:
        text = f"protocol_version: {hello.protocol_version}, this manager speaks 1"
        raise WireError(text)
    if not 0 < hello.journal_epoch < 2**63 or not 0 < hello.rated_power_w <= MAX_POWER_W:
        text = "journal_epoch from 1 to 2^63 - 1 and rated_power_w up to 350 kW are needed"
        raise WireError(text)
    check_text(hello.boot_id, most=64, field="boot_id")
    return CableIntroduction(
        cable_id=CableId(cable_id),
        journal=CableHello(
            journal_epoch=hello.journal_epoch,
            oldest_retained=hello.oldest_sequence_number,
            next_sequence=hello.next_sequence_number,
            last_fence=hello.last_fence,
            boot_id=hello.boot_id,
        ),
        site_meter_id=hello.site_meter_id
        and site_id_from_proto(hello.site_meter_id, field="site_meter_id"),
        hems_id=hello.hems_id and site_id_from_proto(hello.hems_id, field="hems_id"),
        position=position_from_proto(hello.position) if hello.HasField("position") else None,
        vehicle_id=VehicleId(hello.vehicle_id and parse_device_id(hello.vehicle_id)),
        driver_id=DriverId(hello.driver_id and parse_device_id(hello.driver_id)),
        signing_key=_signing_key(hello.signing_key),
        rated_power_w=hello.rated_power_w,
        asset_loading=asset_loading_from_proto(hello.asset_loading)
        if hello.HasField("asset_loading")
        else None,
        can_prove_actively=hello.can_prove_actively,
        clock_state=clock_state_from_proto(hello.clock_state),
        clock_s=time_from_proto(hello.clock_time, field="clock_time")
        if hello.clock_time.seconds > 0
        else 0.0,
        monotonic_ns=hello.monotonic_ns,
    )


def _signing_key(der: bytes) -> bytes:
    try:
        key = load_der_public_key(der) if len(der) <= 256 else None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        text = "signing_key: a P-256 SubjectPublicKeyInfo in DER is needed"
        raise WireError(text)
    return der


def entry_from_proto(
    message: pb.Entry, *, cable_id: str, journal_epoch: int, fence: int
) -> ReceivedEntry:
    """An entry as the committer takes it.

    Only what the log is sorted by is read here; a body that cannot be parsed is stored apart.

    Raises:
        Failure: ENTRY_INVALID for numbers or sizes out of bounds.
    """
    sequence = message.sequence_number
    previous = (
        message.previous_sequence_number
        if message.HasField("previous_sequence_number")
        else sequence - 1
    )
    body, signature = message.body, message.signature
    if not 0 <= previous < sequence < 2**62 or not body:
        raise _invalid("sequence_number from 1, previous_sequence_number below it, and a body")
    if len(body) > MAX_BODY or len(signature) > MAX_SIGNATURE:
        raise _invalid(f"a body of at most {MAX_BODY} bytes, a signature of {MAX_SIGNATURE}")
    kind, period_start_s, impossible = _sorting(body)
    return ReceivedEntry(
        Offer(
            key=EntryKey(cable_id, journal_epoch, sequence),
            digest=digest_of(body),
            fence=fence,
            previous_sequence=previous,
            impossible=impossible,
        ),
        kind,
        period_start_s,
        body,
        signature,
    )


def _invalid(needed: str) -> Failure:
    return Failure(grpc.StatusCode.INVALID_ARGUMENT, ENTRY_INVALID, f"an entry needs {needed}")


def _sorting(body: bytes) -> tuple[str, int, str | None]:
    """Kind and period of a body, and why it cannot be."""
    try:
        entry = journal_pb2.JournalEntry.FromString(body)
    except DecodeError:
        return "UNKNOWN", 0, BODY_MALFORMED
    content = entry.WhichOneof("content")
    if content == "transfer":
        start_s = entry.transfer.period.start_time.seconds
    elif content == "observation":
        start_s = entry.observation.period.start_time.seconds
    else:
        start_s = 0
    return _KINDS[content], start_s, None
