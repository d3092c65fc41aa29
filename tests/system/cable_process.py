"""A cable without instruments: the shipped journal, record writer and session, and nothing else.

It counts as fast as it is told, and writes down what happened in a file that only grows:

    produced 7 3f2a...   entry 7 is in the journal, SHA-256 of its body
    acked 7              the manager's confirmation of entry 7 is noted
    fence 3              it was welcomed under fence 3
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cable_node.drivers.soft_key import SoftKey
from cable_node.enforcement import local_policy
from cable_node.journal import AsyncJournal, WrittenEntry
from cable_node.record_writer import RecordWriter
from cable_node.state import Grant, NodeState
from cable_node.uplink import CableFacts, Uplink, UplinkActions
from gridcord.chassis.channel import open_channel
from gridcord.chassis.clock import SystemClock
from gridcord.chassis.credentials import TlsFiles, client_credentials, load_identity
from gridcord.evidence.fiscal_record import MeterIdentity
from gridcord.metering.reading import ClockState
from gridcord.metering.records import CableEvent, CableEventKind, TransferRecord
from gridcord.session.backoff import Backoff
from gridcord.session.cable_state import CablePolicy
from gridcord.session.entry import digest_of
from gridcord.units import CableId, Period
from gridcord.wire.journal import entry_from_bytes

PERIOD_S = 1800
RECORD_S = 60
FULL_RECORD_WH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CableSettings:
    """What a cable is told.

    Args:
        folder: Of its journal, key and history.
        certificate: Its identity, with `key` and `roots`.
        claims: The cable it says it is; empty to tell the truth.
        target: The manager's address.
        server_name: The manager's name.
        entries: How many to produce in all.
        every_s: Between two, real seconds; 0 for as fast as it can.
        begin_s: First second of the first record, seconds since 1970 UTC.
        site_id: Where it is.
    """

    folder: str
    certificate: str
    key: str
    roots: str
    target: str
    server_name: str
    entries: int
    every_s: float
    begin_s: int
    site_id: str
    claims: str = ""

    @property
    def home(self) -> Path:
        """Its folder."""
        return Path(self.folder)


class TellingJournal(AsyncJournal):
    """The shipped journal, which also writes the history. Each line follows what it tells of."""

    history: Path

    def tell(self, line: str) -> None:
        """Append to the history, in one write."""
        with self.history.open("a", encoding="ascii") as file:
            file.write(line + "\n")

    async def append(self, **entry: Any) -> int:
        """See `AsyncJournal`."""
        sequence = await super().append(**entry)
        self.tell(f"produced {sequence} {digest_of(entry['body']).hex()}")
        return sequence

    async def note_acked(self, sequence: int) -> None:
        """See `AsyncJournal`."""
        await super().note_acked(sequence)
        self.tell(f"acked {sequence}")

    async def note_fence(self, fence: int) -> None:
        """See `AsyncJournal`."""
        await super().note_fence(fence)
        self.tell(f"fence {fence}")


class Counter:
    """Where the registers of a cable stand; goes on from its journal's last record."""

    def __init__(
        self, settings: CableSettings, last: TransferRecord | None, *, record_s: int = RECORD_S
    ) -> None:
        self._settings = settings
        self._record_s = record_s
        self._at_s = settings.begin_s if last is None else last.end_s
        self._taken_wh = 0 if last is None else last.site_to_vehicle_end_wh
        self._given_wh = 0 if last is None else last.vehicle_to_site_end_wh

    def next(self) -> TransferRecord:
        """The next record: one right after the other, registers that join."""
        settings, start_s = self._settings, self._at_s
        taken, given = self._taken_wh, self._given_wh
        self._at_s += self._record_s
        if random.random() < 0.5:
            self._taken_wh += random.randrange(FULL_RECORD_WH)
        else:
            self._given_wh += random.randrange(FULL_RECORD_WH)
        return TransferRecord(
            period=Period.containing(start_s, PERIOD_S),
            start_s=start_s,
            end_s=self._at_s,
            site_to_vehicle_start_wh=taken,
            site_to_vehicle_end_wh=self._taken_wh,
            vehicle_to_site_start_wh=given,
            vehicle_to_site_end_wh=self._given_wh,
            site_id=settings.site_id,
            driver_id="driver-1",
            vehicle_id="vehicle-1",
        )


async def last_record(journal: AsyncJournal) -> TransferRecord | None:
    """The newest record of a journal; None when it has none."""
    for number in range(journal.next_sequence - 1, 0, -1):
        entry: WrittenEntry = await journal.entry(number)
        content = entry_from_bytes(entry.body)
        if isinstance(content, TransferRecord):
            return content
    return None


async def run(settings: CableSettings) -> None:
    """Produce and deliver until killed."""
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    journal = await TellingJournal.open(home / "journal.db")
    journal.history = home / "history"
    key_file = home / "key.pem"
    key = SoftKey(key_file) if key_file.exists() else SoftKey.create(key_file)
    files = TlsFiles(
        certificate=Path(settings.certificate), key=Path(settings.key), roots=Path(settings.roots)
    )
    identity = load_identity(files)
    cable_id = CableId(settings.claims or identity.principal.id)
    wiring = _wire(settings, journal, cable_id, key.public_key_der, client_credentials(identity))
    wiring.writer = RecordWriter(
        journal=journal,
        signer=key,
        cable_id=cable_id,
        meter=MeterIdentity(vendor="v", model="m", serial="1"),
        utc_offset_min=540,
        written=wiring.uplink.produced,
    )
    await asyncio.gather(wiring.uplink.run(), _produce(settings, journal, wiring.writer))


class _Wiring:
    """Joins the session and the writer, which need each other."""

    uplink: Uplink
    writer: RecordWriter

    async def regressed(self, sequence: int) -> None:
        now_s = SystemClock().now()
        event = CableEvent(kind=CableEventKind.SEQUENCE_REGRESSED, at_s=now_s, detail=str(sequence))
        await self.writer.write(event, now_s=now_s)


def _wire(
    settings: CableSettings, journal: AsyncJournal, cable_id: str, key: bytes, credentials: Any
) -> _Wiring:
    async def nothing(*_: object) -> None:
        return None

    wiring = _Wiring()
    state = NodeState(grant=local_policy(charge_without_lease=True), site_meter_id=settings.site_id)
    wiring.uplink = Uplink(
        journal=journal,
        policy=CablePolicy(
            backoff=Backoff(base_s=0.05, cap_s=0.4),
            welcome_within_s=3.0,
            ack_within_s=3.0,
            drain_within_s=2.0,
            stable_after_s=2.0,
        ),
        clock=SystemClock(),
        facts=CableFacts(
            cable_id=cable_id,
            boot_id=uuid.uuid4().hex,
            vehicle_id="vehicle-1",
            driver_id="driver-1",
            signing_key=key,
            rated_power_w=1500,
        ),
        state=state,
        actions=UplinkActions(
            obey=_obey(state),
            fall_back=nothing,
            flush=nothing,
            regressed=wiring.regressed,
            prove=lambda _request: None,
            take_access=lambda _access: None,
        ),
        connect=lambda: open_channel(
            settings.target, credentials=credentials, expect=settings.server_name
        ),
        clock_state=lambda: ClockState.SYNCED,
        identified=nothing,
        observed_s=1.0,
    )
    return wiring


def _obey(state: NodeState) -> Any:
    async def obey(grant: Grant) -> None:
        state.grant = grant

    return obey


async def _produce(settings: CableSettings, journal: AsyncJournal, writer: RecordWriter) -> None:
    counter = Counter(settings, await last_record(journal))
    while journal.next_sequence <= settings.entries:
        await writer.write(counter.next(), now_s=SystemClock().now())
        await asyncio.sleep(settings.every_s)


def main() -> None:
    """Run with the settings in a JSON file: `cable_process.py FILE`."""
    settings = CableSettings(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
