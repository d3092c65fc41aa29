"""Watches an active proof: the manager steers the vehicle, the cable reads both meters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from cable_node.ports import InstrumentError, SiteMeter
from cable_node.state import NodeState
from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.chassis.clock import Clock
from gridcord.metering.active_proof import ActiveProof, CableSample, FastReading, judge
from gridcord.metering.records import ProofOutcome, ProofRecord

BEFORE = 12  # readings that tell how restless the house is
MOST_SAMPLES = 900
CABLE_EVERY_S = 1.0

log = structlog.get_logger()


class ProofPlayer:
    """Records what both meters say while a pattern runs, and judges it.

    Args:
        state: Of the node.
        clock: Of the node.
        site_meter: The site's meter that is open now; None while there is none.
        write: Journals the result.
    """

    def __init__(
        self,
        *,
        state: NodeState,
        clock: Clock,
        site_meter: Callable[[], SiteMeter | None],
        write: Callable[[ProofRecord], Awaitable[None]],
    ) -> None:
        self._state = state
        self._clock = clock
        self._site_meter = site_meter
        self._write = write
        self._requests: asyncio.Queue[pb.ActiveProofRequest] = asyncio.Queue(maxsize=4)

    def ask(self, request: pb.ActiveProofRequest) -> None:
        """Take a request; one that cannot wait is dropped, and the manager asks again."""
        try:
            self._requests.put_nowait(request)
        except asyncio.QueueFull:
            log.warning("proof.refused", proof_id=request.proof_id)

    async def run(self) -> None:
        """Serve requests for ever, one after the other."""
        while True:
            request = await self._requests.get()
            record = await self._prove(request)
            log.info("proof.done", proof_id=record.proof_id, outcome=record.outcome.value)
            await self._write(record)

    async def _prove(self, request: pb.ActiveProofRequest) -> ProofRecord:
        meter = self._site_meter()
        duration_s = sum(step.duration_ms for step in request.steps) / 1000
        if meter is None or not self._state.vehicle_present or duration_s <= 0:
            return self._record(request, ProofOutcome.NOT_POSSIBLE, "no meter, or no vehicle")
        before: list[FastReading] = []
        cable: list[CableSample] = []
        readings: list[FastReading] = []
        sampler = asyncio.ensure_future(self._sample(cable))
        try:
            start_s = request.expire_time.seconds - duration_s
            while self._clock.now() < start_s and len(before) < MOST_SAMPLES:
                before.append(await self._read(meter))
            end_s = start_s + duration_s + meter.power_interval_s
            while self._clock.now() < end_s and len(readings) < MOST_SAMPLES:
                readings.append(await self._read(meter))
        finally:
            sampler.cancel()
        powers = [step.power_w for step in request.steps]
        proof = judge(
            before=before[-BEFORE:],
            cable=[sample for sample in cable if sample.at_s >= start_s],
            readings=readings,
            amplitude_w=max(1, max(powers) - min(powers)),
        )
        return self._judged(request, proof, cable, readings)

    async def _read(self, meter: SiteMeter) -> FastReading:
        begin_s = self._clock.now()
        try:
            sample = await meter.power()
        except InstrumentError:
            await asyncio.sleep(0.2)
            return FastReading(begin_s, self._clock.now(), None)
        lag_s = min(meter.power_interval_s, 2.0)
        return FastReading(min(begin_s, sample.at_s) - lag_s, self._clock.now(), sample.power_w)

    async def _sample(self, cable: list[CableSample]) -> None:
        while len(cable) < MOST_SAMPLES:
            if self._state.power_w is not None:
                cable.append(CableSample(self._clock.now(), self._state.power_w))
            await self._clock.sleep(CABLE_EVERY_S)

    def _judged(
        self,
        request: pb.ActiveProofRequest,
        proof: ActiveProof,
        cable: list[CableSample],
        readings: list[FastReading],
    ) -> ProofRecord:
        return ProofRecord(
            proof_id=request.proof_id,
            site_id=self._state.site_id,
            outcome=ProofOutcome(proof.outcome.value),
            cable_power=tuple((int(s.at_s * 1000), round(s.power_w)) for s in cable),
            meter_power=tuple(
                (int(r.end_s * 1000), round(r.power_w)) for r in readings if r.power_w is not None
            ),
            evidence_nats=proof.nats,
            gain=proof.gain or 0.0,
            detail=f"{proof.edges} edges",
        )

    def _record(
        self, request: pb.ActiveProofRequest, outcome: ProofOutcome, why: str
    ) -> ProofRecord:
        return ProofRecord(
            proof_id=request.proof_id, site_id=self._state.site_id, outcome=outcome, detail=why
        )
