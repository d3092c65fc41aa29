"""The composition of the node: which parts it has and who tells whom (patent fig. 8)."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from cable_node.drivers.route_b_session import RouteBCredentials
from cable_node.drivers.soft_key import SoftKey
from cable_node.enforcement import Enforcement, local_policy
from cable_node.instruments import Instruments, open_instruments
from cable_node.journal import AsyncJournal
from cable_node.kernel_clock import kernel_clock_synchronised
from cable_node.local_service import CableServicer, local_server
from cable_node.metering import Metering
from cable_node.metrics import tell_figures
from cable_node.observer import SiteObserver
from cable_node.plug import PlugWatch
from cable_node.ports import MeterIdentity
from cable_node.proof import ProofPlayer
from cable_node.record_writer import RecordWriter
from cable_node.reverse_power import ReversePowerTrip
from cable_node.settings import CableNodeSettings
from cable_node.site_watch import SiteMeterWatch, watch_hems, watch_position
from cable_node.state import NodeState
from cable_node.transfer_part import transfer_record
from cable_node.uplink import CableFacts, Uplink, UplinkActions
from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.chassis.credentials import load_identity
from gridcord.chassis.endpoint import HttpEndpoint
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.lifecycle import Lifecycle, OnFailure
from gridcord.chassis.metrics import tell_expiry
from gridcord.clients.connector import Connector
from gridcord.evidence import fiscal_record
from gridcord.metering.matching import HemsCoverage, MatchPolicy, MatchRule
from gridcord.metering.reading import ClockState, Registers
from gridcord.metering.records import CableEvent, CableEventKind, JournalEntry
from gridcord.metering.registers import PeriodEnergy, RegisterBreak
from gridcord.session.backoff import Backoff
from gridcord.session.cable_state import CablePolicy
from gridcord.units import CableId

log = structlog.get_logger()

_BREAKS = {
    RegisterBreak.METER_SWAP: CableEventKind.METER_SWAPPED,
    RegisterBreak.CLOCK_BACK: CableEventKind.CLOCK_STEPPED,
    RegisterBreak.BACKWARDS: CableEventKind.TAMPERED,
    RegisterBreak.JUMP: CableEventKind.TAMPERED,
}
_MATCHER = "matcher"
_OBSERVED_S = 10.0
_DAY_S = 86_400.0


async def run_node(settings: CableNodeSettings) -> ExitCode:
    """Run the node until it is told to stop."""
    settings.journal.file.parent.mkdir(parents=True, exist_ok=True)
    journal = await AsyncJournal.open(settings.journal.file)
    instruments = open_instruments(settings, settings.clock.clock())
    try:
        return await CableNode(settings, journal, instruments).run()
    finally:
        await instruments.close()
        await journal.close()


class CableNode:
    """The daemon on the cable.

    Args:
        settings: All of them.
        journal: Open.
        instruments: Open, but the site's meter.
    """

    def __init__(
        self, settings: CableNodeSettings, journal: AsyncJournal, instruments: Instruments
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._instruments = instruments
        self._clock = settings.clock.clock()
        self._identity = load_identity(settings.tls.files())
        self._cable_id = CableId(self._identity.principal.id)
        self._boot_id = uuid.uuid4().hex
        local = local_policy(charge_without_lease=settings.policy.charge_without_lease)
        self._state = NodeState(grant=local)
        key = settings.journal.key
        self._signer = SoftKey(key) if key.exists() else SoftKey.create(key)
        self._enforcement = Enforcement(
            contactor=instruments.contactor,
            state=self._state,
            trip=ReversePowerTrip(
                limit_w=settings.contactor.trip_w,
                hold_s=settings.contactor.trip_s,
                blind_s=settings.contactor.blind_s,
            ),
            clock=self._clock,
            note=self._note,
            local=local,
            loading_limit_percent=settings.policy.loading_limit_percent,
        )
        self._observer = self._make_observer()
        self._metering = Metering(
            meter=instruments.meter,
            clock=self._clock,
            period_s=settings.cable.period_s,
            sample_s=settings.cable.sample_s,
            max_gap_s=settings.cable.max_gap_s,
            max_power_w=settings.cable.rated_power_w * 2,
            finished=self._finished,
            sampled=self._sampled,
            broken=self._broken,
        )
        self._site = SiteMeterWatch(
            settings=settings.site,
            state=self._state,
            clock=self._clock,
            period_s=settings.cable.period_s,
            counted=self._observer.metered,
            note=self._note,
        )
        self._plug = PlugWatch(
            contactor=instruments.contactor,
            state=self._state,
            clock=self._clock,
            state_s=settings.contactor.state_s,
            plugged=self._plugged,
            unplugged=self._unplugged,
            switched=self._switched,
        )
        self._proof = ProofPlayer(
            state=self._state,
            clock=self._clock,
            site_meter=lambda: self._site.meter,
            write=self._write,
        )
        self._uplink = self._make_uplink()
        self._writer: RecordWriter | None = None

    async def run(self) -> ExitCode:
        """Run until told to stop; the running period is closed before the end."""
        lifecycle = Lifecycle(clock=self._clock)
        self._writer = self._make_writer(await self._metering.identify())
        self._observer.restore((await self._journal.recall(_MATCHER) or b"").decode())
        settings, state = self._settings, self._state
        restart = OnFailure.RESTART
        lifecycle.add("metering", self._metering.run, on_failure=OnFailure.STOP)
        lifecycle.add("enforcement", self._enforcement.run, on_failure=OnFailure.STOP)
        lifecycle.add("lease", self._enforcement.hold_leases, on_failure=OnFailure.STOP)
        lifecycle.add("plug", self._plug.run, on_failure=OnFailure.STOP)
        lifecycle.add("uplink", self._uplink.run, on_failure=OnFailure.STOP)
        lifecycle.add("observer", self._observer.run, on_failure=restart)
        lifecycle.add("site_meter", self._site.run, on_failure=restart)
        lifecycle.add("introduction", self._introduce_anew, on_failure=restart)
        lifecycle.add("retention", self._prune, on_failure=restart)
        lifecycle.add("proof", self._proof.run, on_failure=restart)
        beat = partial(self._plug.beat, settings.contactor.heartbeat_s)
        lifecycle.add("heartbeat", beat, on_failure=restart)
        if (hems := self._instruments.hems) is not None:
            watch = partial(
                watch_hems,
                hems,
                state=state,
                clock=self._clock,
                poll_s=settings.hems.poll_s,
                period_s=settings.cable.period_s,
                counted=self._observer.consumed,
            )
            lifecycle.add("hems", watch, on_failure=restart)
        if (positioning := self._instruments.positioning) is not None:
            locate = partial(watch_position, positioning, state=state)
            lifecycle.add("position", locate, on_failure=restart)
        if settings.local.socket is not None:
            await self._serve(lifecycle, settings.local.socket)
        if settings.metrics.address is not None:
            await self._tell_figures(lifecycle, settings.metrics.address)
        lifecycle.on_drain(self._metering.flush)
        return await lifecycle.run()

    def _make_writer(self, meter: MeterIdentity) -> RecordWriter:
        vendor, _, model = meter.model.partition(" ")
        return RecordWriter(
            journal=self._journal,
            signer=self._signer,
            cable_id=self._cable_id,
            meter=fiscal_record.MeterIdentity(
                vendor=vendor, model=model or vendor, serial=meter.serial_number
            ),
            utc_offset_min=self._settings.cable.utc_offset_min,
            written=self._uplink.produced,
        )

    def _make_observer(self) -> SiteObserver:
        settings = self._settings
        has_hems = settings.hems.driver != "none"
        return SiteObserver(
            state=self._state,
            clock=self._clock,
            policy=MatchPolicy(
                rule=MatchRule(settings.match.rule), difference_wh=settings.match.difference_wh
            ),
            coverage=HemsCoverage(settings.hems.coverage) if has_hems else HemsCoverage.NONE,
            period_s=settings.cable.period_s,
            grace_s=settings.site.reading_grace_s,
            write=self._write,
            save=lambda text: self._journal.remember({_MATCHER: text.encode()}),
        )

    def _make_uplink(self) -> Uplink:
        settings = self._settings
        session = settings.session
        speed = settings.clock.speed  # the network lives in real time, whatever the clock plays
        return Uplink(
            journal=self._journal,
            policy=CablePolicy(
                backoff=Backoff(
                    base_s=session.retry_first_s * speed, cap_s=session.retry_longest_s * speed
                ),
                welcome_within_s=session.welcome_within_s * speed,
                ack_within_s=60.0 * speed,
                drain_within_s=30.0 * speed,
                stable_after_s=session.stable_after_s * speed,
            ),
            clock=self._clock,
            facts=CableFacts(
                cable_id=self._cable_id,
                boot_id=self._boot_id,
                vehicle_id=settings.cable.vehicle_id,
                driver_id=settings.cable.driver_id,
                signing_key=self._signer.public_key_der,
                rated_power_w=settings.cable.rated_power_w,
            ),
            state=self._state,
            actions=UplinkActions(
                obey=self._enforcement.obey,
                fall_back=self._enforcement.fall_back,
                flush=self._metering.flush,
                regressed=self._regressed,
                prove=self._proof.ask,
                take_access=self._take_access,
            ),
            connect=Connector(
                settings.manager.target,
                files=settings.tls.files(),
                expect=settings.manager.server_name,
            ),
            clock_state=self._clock_state,
            identified=self._identified,
            observed_s=_OBSERVED_S * max(1.0, speed / 10),
        )

    async def _identified(self) -> None:
        """Wait until the site is known, as far as there is an instrument that could say it.

        A meter over the air takes minutes to be joined; a site that stays unknown is a normal
        state, and the manager says what may be done there.
        """
        settings = self._settings
        waits = settings.site.driver != "none" or settings.hems.driver != "none"
        until_s = self._clock.now() + settings.site.identify_s
        while waits and not self._state.site_id and self._clock.now() < until_s:
            await self._clock.sleep(1.0)

    async def _introduce_anew(self) -> None:
        """A site that is known only now, or another one than before, needs a new session."""
        await self._identified()
        introduced = self._state.site_id
        while True:
            await self._clock.sleep(5.0)
            if self._state.site_id != introduced:
                introduced = self._state.site_id
                log.info("site.changed", site_id=introduced)
                self._uplink.restart()

    async def _serve(self, lifecycle: Lifecycle, path: Path) -> None:
        """Serve those on the spot."""
        servicer = CableServicer(
            cable_id=self._cable_id,
            signing_key=self._signer.public_key_der,
            state=self._state,
            next_sequence=lambda: self._journal.next_sequence,
            now=self._clock.now,
            loading_changed=self._enforcement.loading_changed,
        )
        server = local_server(path, servicer, self._identity.principal)
        await server.start()
        lifecycle.on_drain(partial(server.drain, grace_s=1.0))

    async def _tell_figures(self, lifecycle: Lifecycle, address: str) -> None:
        """Serve `/metrics` and `/healthz`."""
        tell_figures(self._state, next_sequence=lambda: self._journal.next_sequence)
        tell_expiry(lambda: load_identity(self._settings.tls.files()).own.not_after_s)
        endpoint = HttpEndpoint(
            address, healthy=lambda: self._state.instruments.get("meter") == "READING"
        )
        await endpoint.start()
        lifecycle.on_drain(endpoint.stop)

    def _clock_state(self) -> ClockState:
        known = self._settings.cable.clock_synchronised
        if known is None:
            known = kernel_clock_synchronised()
        return ClockState.SYNCED if known else ClockState.HOLDOVER

    async def _write(self, entry: JournalEntry) -> None:
        assert self._writer is not None, "nothing is measured before the meter is known"
        await self._writer.write(entry, now_s=self._clock.now())

    async def _prune(self) -> None:
        """Give up what is confirmed and older than the retention, once a day."""
        while True:
            await self._clock.sleep(_DAY_S)
            if self._clock_state() is ClockState.SYNCED:
                retention_s = self._settings.journal.retention_days * _DAY_S
                await self._journal.prune(now_s=self._clock.now(), retention_s=retention_s)
                self._uplink.pruned(self._journal.durable.oldest_retained)

    async def _note(self, event: CableEvent) -> None:
        log.info("cable.event", kind=event.kind.value, detail=event.detail)
        await self._write(event)

    async def _finished(self, part: PeriodEnergy, final: bool) -> None:
        """A period is over, or the part of it that was connected (S812, S822)."""
        state = self._state
        record = transfer_record(part, final=final)
        record = replace(
            record,
            site_id=state.site_id,
            hems_id=state.hems_id if state.site_meter_id else "",
            position=state.position,
            vehicle_id=self._settings.cable.vehicle_id,
            driver_id=self._settings.cable.driver_id,
            clock_state=self._clock_state(),
            boot_id=self._boot_id,
            end_monotonic_ns=int(self._clock.monotonic() * 1e9),
        )
        if record.end_s <= record.start_s:
            return
        self._observer.transferred(part)
        await self._write(record)
        log.info(
            "period.closed",
            period=str(part.period),
            transferred_wh=record.transferred_wh,
            quality=part.quality.value,
            final=final,
        )

    async def _sampled(self, registers: Registers | None) -> None:
        self._state.instruments["meter"] = "LOST" if registers is None else "READING"
        await self._enforcement.measured(None if registers is None else registers.power_w)

    async def _broken(self, cause: RegisterBreak) -> None:
        if cause in _BREAKS:
            await self._happened(_BREAKS[cause], cause.value)

    async def _plugged(self) -> None:
        self._observer.plugged()
        await self._happened(CableEventKind.PLUGGED, self._settings.cable.vehicle_id)
        await self._metering.connect()

    async def _unplugged(self) -> None:
        await self._metering.disconnect()
        self._observer.unplugged()
        await self._happened(CableEventKind.UNPLUGGED, self._settings.cable.vehicle_id)

    async def _switched(self, closed: bool) -> None:
        kind = CableEventKind.CONTACTOR_CLOSED if closed else CableEventKind.CONTACTOR_OPENED
        await self._happened(kind, self._state.grant.reason)

    async def _happened(self, kind: CableEventKind, detail: str) -> None:
        await self._note(
            CableEvent(
                kind=kind, at_s=self._clock.now(), site_id=self._state.site_id, detail=detail
            )
        )

    async def _regressed(self, sequence: int) -> None:
        await self._happened(CableEventKind.SEQUENCE_REGRESSED, f"went on from {sequence}")

    def _take_access(self, access: pb.SiteAccess) -> None:
        try:
            credentials = RouteBCredentials(
                route_b_id=access.route_b_id, password=access.route_b_password
            )
        except ValueError as error:
            log.warning("site_access.refused", error=str(error))
            return
        self._site.give_access(credentials)
