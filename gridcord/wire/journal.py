"""Journal entries between bytes and values: the bytes are what is signed and stored."""

from __future__ import annotations

import math

from google.protobuf.message import DecodeError

from gridcord.api.manager.v1 import journal_pb2
from gridcord.metering.records import (
    CableEvent,
    CableEventKind,
    JournalEntry,
    ProofOutcome,
    ProofRecord,
    SiteObservation,
    TransferRecord,
)
from gridcord.wire.readings import (
    MAX_TEXT,
    MAX_WH,
    EnumMap,
    asset_loading_from_proto,
    asset_loading_to_proto,
    clock_state_from_proto,
    clock_state_to_proto,
    match_from_proto,
    match_to_proto,
    quality_from_proto,
    quality_to_proto,
    reading_from_proto,
    reading_to_proto,
)
from gridcord.wire.values import (
    WireError,
    check_text,
    period_from_proto,
    period_to_proto,
    position_from_proto,
    position_to_proto,
    seconds_from_proto,
    site_id_from_proto,
    time_from_proto,
    time_to_proto,
)

_EVENT = EnumMap(journal_pb2.CableEvent.Kind, CableEventKind, "KIND_")
_OUTCOME = EnumMap(journal_pb2.ActiveProofResult.Outcome, ProofOutcome, "OUTCOME_")
MAX_FISCAL = 8_000
MAX_SAMPLES = 1_000
MAX_READINGS = 16


def entry_to_bytes(entry: JournalEntry) -> bytes:
    """The body of an entry, to be signed and never serialised again."""
    match entry:
        case TransferRecord():
            message = journal_pb2.JournalEntry(transfer=_transfer_to_proto(entry))
        case SiteObservation():
            message = journal_pb2.JournalEntry(observation=_observation_to_proto(entry))
        case CableEvent():
            message = journal_pb2.JournalEntry(event=_event_to_proto(entry))
        case ProofRecord():
            message = journal_pb2.JournalEntry(active_proof=_proof_to_proto(entry))
    return message.SerializeToString()


def entry_from_bytes(body: bytes) -> JournalEntry | None:
    """The value of a body; None when a newer cable said something we do not know.

    Raises:
        WireError: Not a message, or a message that says something impossible.
    """
    try:
        message = journal_pb2.JournalEntry.FromString(body)
    except DecodeError:
        text = "body: not a JournalEntry"
        raise WireError(text) from None
    match message.WhichOneof("content"):
        case "transfer":
            return _transfer_from_proto(message.transfer)
        case "observation":
            return _observation_from_proto(message.observation)
        case "event":
            return _event_from_proto(message.event)
        case "active_proof":
            return _proof_from_proto(message.active_proof)
        case None:
            return None


def _transfer_to_proto(record: TransferRecord) -> journal_pb2.TransferRecord:
    return journal_pb2.TransferRecord(
        period=period_to_proto(record.period),
        start_time=time_to_proto(record.start_s),
        end_time=time_to_proto(record.end_s),
        site_to_vehicle_start_wh=record.site_to_vehicle_start_wh,
        site_to_vehicle_end_wh=record.site_to_vehicle_end_wh,
        vehicle_to_site_start_wh=record.vehicle_to_site_start_wh,
        vehicle_to_site_end_wh=record.vehicle_to_site_end_wh,
        step_wh=record.step_wh,
        quality=quality_to_proto(record.quality),
        missing_s=record.missing_s,
        site_id=record.site_id,
        hems_id=record.hems_id,
        position=None if record.position is None else position_to_proto(record.position),
        vehicle_id=record.vehicle_id,
        driver_id=record.driver_id,
        clock_state=clock_state_to_proto(record.clock_state),
        boot_id=record.boot_id,
        end_monotonic_ns=record.end_monotonic_ns,
        fiscal_record=record.fiscal_record,
        final=record.final,
    )


def _transfer_from_proto(message: journal_pb2.TransferRecord) -> TransferRecord:
    period = period_from_proto(message.period)
    start_s = seconds_from_proto(message.start_time, field="start_time")
    end_s = seconds_from_proto(message.end_time, field="end_time")
    if not period.start_s <= start_s < end_s <= period.end_s:
        text = f"start_time, end_time: {start_s} to {end_s} is no part of the period {period}"
        raise WireError(text)
    in_start, in_end = message.site_to_vehicle_start_wh, message.site_to_vehicle_end_wh
    out_start, out_end = message.vehicle_to_site_start_wh, message.vehicle_to_site_end_wh
    if not 0 <= in_start <= in_end <= MAX_WH or not 0 <= out_start <= out_end <= MAX_WH:
        text = "registers: not between 0 and 10^15 Wh, or falling"
        raise WireError(text)
    _check_texts(
        vehicle_id=message.vehicle_id, driver_id=message.driver_id, boot_id=message.boot_id
    )
    if len(message.fiscal_record) > MAX_FISCAL:
        text = f"fiscal_record: more than {MAX_FISCAL} characters"
        raise WireError(text)
    step_wh = message.step_wh or 1
    if not 1 <= step_wh <= 1_000_000 or not 0 <= message.missing_s <= period.length_s:
        text = f"step_wh {step_wh}, missing_s {message.missing_s}: out of bounds"
        raise WireError(text)
    return TransferRecord(
        period=period,
        start_s=start_s,
        end_s=end_s,
        site_to_vehicle_start_wh=in_start,
        site_to_vehicle_end_wh=in_end,
        vehicle_to_site_start_wh=out_start,
        vehicle_to_site_end_wh=out_end,
        step_wh=step_wh,
        quality=quality_from_proto(message.quality),
        missing_s=message.missing_s,
        site_id=message.site_id and site_id_from_proto(message.site_id),
        hems_id=message.hems_id and site_id_from_proto(message.hems_id, field="hems_id"),
        position=position_from_proto(message.position) if message.HasField("position") else None,
        vehicle_id=message.vehicle_id,
        driver_id=message.driver_id,
        clock_state=clock_state_from_proto(message.clock_state),
        boot_id=message.boot_id,
        end_monotonic_ns=message.end_monotonic_ns,
        fiscal_record=message.fiscal_record,
        final=message.final,
    )


def _check_texts(**texts: str) -> None:
    for name, text in texts.items():
        check_text(text, most=64, field=name)


def _observation_to_proto(value: SiteObservation) -> journal_pb2.SiteObservation:
    return journal_pb2.SiteObservation(
        period=period_to_proto(value.period),
        site_id=value.site_id,
        readings=[reading_to_proto(reading) for reading in value.readings],
        transferred_wh=value.transferred_wh,
        match=match_to_proto(value.match),
    )


def _observation_from_proto(message: journal_pb2.SiteObservation) -> SiteObservation:
    if len(message.readings) > MAX_READINGS or abs(message.transferred_wh) > MAX_WH:
        text = "observation: too many readings, or an impossible energy"
        raise WireError(text)
    return SiteObservation(
        period=period_from_proto(message.period),
        site_id=site_id_from_proto(message.site_id),
        readings=tuple(
            reading_from_proto(reading, field=f"readings[{index}]")
            for index, reading in enumerate(message.readings)
        ),
        transferred_wh=message.transferred_wh,
        match=match_from_proto(message.match),
    )


def _event_to_proto(event: CableEvent) -> journal_pb2.CableEvent:
    loading = event.asset_loading
    return journal_pb2.CableEvent(
        kind=_EVENT.to_proto(event.kind),
        event_time=time_to_proto(event.at_s),
        site_id=event.site_id,
        detail=event.detail[:MAX_TEXT],
        asset_loading=None if loading is None else asset_loading_to_proto(loading),
    )


def _event_from_proto(message: journal_pb2.CableEvent) -> CableEvent | None:
    kind = _EVENT.from_proto(message.kind)
    if kind is None:
        return None
    check_text(message.detail, most=MAX_TEXT, field="detail")
    return CableEvent(
        kind=kind,
        at_s=time_from_proto(message.event_time, field="event_time"),
        site_id=message.site_id and site_id_from_proto(message.site_id),
        detail=message.detail,
        asset_loading=asset_loading_from_proto(message.asset_loading)
        if message.HasField("asset_loading")
        else None,
    )


def _proof_to_proto(proof: ProofRecord) -> journal_pb2.ActiveProofResult:
    return journal_pb2.ActiveProofResult(
        proof_id=proof.proof_id,
        site_id=proof.site_id,
        outcome=_OUTCOME.to_proto(proof.outcome),
        cable_power=[journal_pb2.PowerSample(time_ms=at, power_w=w) for at, w in proof.cable_power],
        meter_power=[journal_pb2.PowerSample(time_ms=at, power_w=w) for at, w in proof.meter_power],
        evidence_nats=proof.evidence_nats,
        gain=proof.gain,
        detail=proof.detail[:MAX_TEXT],
    )


def _proof_from_proto(message: journal_pb2.ActiveProofResult) -> ProofRecord:
    outcome = _OUTCOME.from_proto(message.outcome) or ProofOutcome.INCONCLUSIVE
    if max(len(message.cable_power), len(message.meter_power)) > MAX_SAMPLES:
        text = f"active_proof: more than {MAX_SAMPLES} samples"
        raise WireError(text)
    if not math.isfinite(message.evidence_nats) or not math.isfinite(message.gain):
        text = "active_proof: evidence_nats and gain must be finite"
        raise WireError(text)
    _check_texts(proof_id=message.proof_id)
    detail = message.detail[:MAX_TEXT]
    check_text(detail, most=MAX_TEXT, field="detail")
    return ProofRecord(
        proof_id=message.proof_id,
        site_id=message.site_id and site_id_from_proto(message.site_id),
        outcome=outcome,
        cable_power=tuple((sample.time_ms, sample.power_w) for sample in message.cable_power),
        meter_power=tuple((sample.time_ms, sample.power_w) for sample in message.meter_power),
        evidence_nats=message.evidence_nats,
        gain=message.gain,
        detail=detail,
    )
