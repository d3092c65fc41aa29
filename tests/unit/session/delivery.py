"""The world around the engines: a cable with its flash, a network, a manager with its store.

The engines are the product's own. The shells around them are as small as they can be: what the
cable's uplink and the manager's session service and committer do with the engines' answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gridcord.session import cable, opening
from gridcord.session.effects import (
    CableEffect,
    Close,
    CloseReason,
    JumpTo,
    NoteAcked,
    NoteFence,
    SendEntry,
    SendHello,
)
from gridcord.session.entry import EntryKey
from gridcord.session.events import (
    Acked,
    CableInput,
    Connected,
    Disconnected,
    EndReason,
    EndReceived,
    Flushed,
    Produced,
    Pruned,
    Tick,
    Welcomed,
)
from tests.unit.session.delivery_world import (
    BATCH,
    CABLE,
    EPOCH,
    LATER,
    Engines,
    Frame,
    Link,
    Row,
    Scenario,
    Store,
    World,
    agreed,
    bytes_of,
    links,
    on_flash,
    ruled,
    with_link,
    without_link,
)
from tests.unit.session.exploration import Broken, Step

__all__ = ["Delivery", "Engines", "Scenario"]


class Delivery:
    """The model."""

    def __init__(self, scenario: Scenario | None = None, engines: Engines | None = None) -> None:
        self.scenario = scenario or Scenario()
        self.engines = engines or Engines()
        self._committed: dict[tuple[Store, tuple[Any, ...]], tuple[Store, Any]] = {}
        self._advanced: dict[tuple[Any, CableInput, float], tuple[Any, tuple[Any, ...]]] = {}

    def initial(self) -> World:
        """An empty journal and an empty store."""
        return World(
            cable=self._boot(cable.Durable(journal_epoch=EPOCH)),
            entries=(),
            store=Store(cursor=opening.CableCursor()),
        )

    def steps(self, world: World) -> Iterator[Step[World]]:
        """All that can happen next."""
        yield from self._cable_steps(world)
        yield from self._manager_steps(world)
        yield from self._free_steps(world)
        if world.faults < self.scenario.faults:
            once = world._replace(faults=world.faults + 1)
            for label, then in self._faults(once):
                yield Step(label, then, fault=True)

    # -- the cable's shell

    def _boot(self, durable: Any) -> Any:
        return self.engines.cable.start(durable=durable)

    def _booted(self, world: World, entries: tuple[Row, ...], durable: Any) -> World:
        return world._replace(
            entries=entries,
            next_number=durable.next_sequence,
            untold=(),
            cable=self._boot(durable),
        )

    def _feed(self, world: World, event: CableInput, now_s: float = 0.0) -> World:
        question = world.cable, event, now_s
        if question not in self._advanced:
            state, effects = self.engines.cable.advance(state=world.cable, event=event, now_s=now_s)
            _check_noted(world.cable.durable, effects, state.durable)
            # Time stands still here, and the length of a delay is not explored.
            state = replace(state, attempts=0, entered_s=0.0, waiting_s=0.0)
            self._advanced[question] = state, effects
        state, effects = self._advanced[question]
        world = world._replace(cable=state)
        for effect in effects:
            world = self._perform(world, effect)
        return world

    def _perform(self, world: World, effect: CableEffect) -> World:
        match effect:
            case SendHello():
                hello = self.engines.opening.CableHello(
                    journal_epoch=effect.journal_epoch,
                    oldest_retained=effect.oldest_retained,
                    next_sequence=effect.next_sequence,
                    last_fence=effect.last_fence,
                )
                return world._replace(link=Link(hello=hello))
            case SendEntry():
                return self._send(world, effect)
            case JumpTo():
                number = max(world.next_number, effect.sequence)
                return world._replace(next_number=number)
            case NoteAcked() if "delete on ack" in self.scenario.bugs:
                kept = tuple(row for row in world.entries if row.sequence > effect.sequence)
                return self._pruned(world, kept)
            case Close():
                return self._close(world, effect)
        return world

    def _close(self, world: World, effect: Close) -> World:
        acked, link = world.cable.durable.acked_sequence, world.link
        ended = effect.reason is CloseReason.ENDED and link is not None and not link.ended
        if ended and any(row.sequence > acked for row in world.entries):
            raise Broken(f"closes with entries after {acked} unconfirmed")
        return without_link(world)

    def _send(self, world: World, effect: SendEntry) -> World:
        row = next((row for row in world.entries if row.sequence == effect.sequence), None)
        if row is None or world.link is None:
            raise Broken(f"sends entry {effect.sequence}, which it has not")
        frame = Frame(row, effect.previous_sequence)
        link = world.link._replace(sent=(*world.link.sent, frame))
        return world._replace(link=link)

    def _pruned(self, world: World, kept: tuple[Row, ...]) -> World:
        oldest = kept[0].sequence if kept else world.cable.durable.next_sequence
        return self._feed(world._replace(entries=kept), Pruned(oldest_retained=oldest))

    def _cable_steps(self, world: World) -> Iterator[Step[World]]:
        state, link = world.cable, world.link
        if world.produced < self.scenario.entries:
            yield Step("produce", self._produce(world))
        if world.untold:
            yield Step("news of an entry", self._tell(world))
        if state.phase == "OFFLINE":
            yield Step("connect", self._feed(world, Connected()))
        if state.phase == "ENDING" and not state.flushed:
            yield Step("flush", self._feed(world, Flushed()))
        if link is None:
            return
        if link.welcome is not None:
            yield Step("welcome", self._welcome(world, link, link.welcome))
        elif link.ack:
            event = Acked(committed_sequence=link.ack)
            yield Step(
                f"ack {link.ack}", self._feed(world._replace(link=link._replace(ack=0)), event)
            )
        elif link.ended:
            yield Step("end seen", self._feed(without_link(world), Disconnected()))
        elif state.in_flight and not link.sent and not world.batch:
            yield Step("no answer", self._feed(world, Tick(), LATER))

    def _welcome(self, world: World, link: Link, welcome: Welcomed) -> World:
        world = world._replace(
            link=link._replace(welcome=None), store_is_old=False, flash_is_old=False
        )
        return agreed(self._feed(world, welcome))

    def _produce(self, world: World) -> World:
        sequence, tag = world.next_number, world.produced + 1
        if world.cable.phase == "STREAMING" and sequence <= world.store.committed:
            raise Broken(f"takes number {sequence} twice")
        world = world._replace(
            entries=(*world.entries, Row(sequence, tag)),
            produced=tag,
            next_number=sequence + 1,
            untold=(*world.untold, sequence),
        )
        return world if self.scenario.late_news else self._tell(world)

    def _tell(self, world: World) -> World:
        event = Produced(sequence=world.untold[0])
        try:
            return agreed(self._feed(world._replace(untold=world.untold[1:]), event))
        except ValueError as error:
            raise Broken(f"refuses what the journal did: {error}") from error

    # -- the manager's shell

    def _manager_steps(self, world: World) -> Iterator[Step[World]]:
        for index, link in enumerate(links(world)):
            name = f"of session {link.fence}"
            if link.hello is not None:
                yield Step("hello served", self._serve(world, index, link))
            elif link.sent and len(world.batch) < BATCH:
                yield Step(
                    f"entry {link.sent[0].row.sequence} {name} received",
                    self._receive(world, index, link),
                )
        if world.batch:
            yield Step("commit", self._commit(world))

    def _serve(self, world: World, index: int, link: Link) -> World:
        opened = self.engines.opening.open_session(
            cursor=world.store.cursor, hello=link.hello, previous_alive=False, now_s=0.0
        )
        if opened.fence <= max(link.hello.last_fence, world.store.cursor.fence):
            raise Broken(f"I12: grants fence {opened.fence} again")
        welcome = Welcomed(
            fence=opened.fence,
            committed_sequence=opened.committed_sequence,
            manager_time_s=0.0,
            window=self.scenario.window,
        )
        served = link._replace(hello=None, fence=opened.fence, welcome=welcome)
        store = world.store._replace(cursor=opened.cursor)
        return with_link(world._replace(store=store), index, served)

    def _receive(self, world: World, index: int, link: Link) -> World:
        (sequence, tag), previous_sequence = link.sent[0]
        offer = self.engines.manager.Offer(
            key=EntryKey(CABLE, EPOCH, sequence),
            digest=bytes_of(tag),
            fence=link.fence,
            previous_sequence=previous_sequence,
        )
        link = link._replace(sent=link.sent[1:])
        if "ack before commit" in self.scenario.bugs:
            link = link._replace(ack=max(link.ack, sequence))
        return with_link(world._replace(batch=(*world.batch, offer)), index, link)

    def _commit(self, world: World) -> World:
        question = world.store, world.batch
        if question not in self._committed:
            self._committed[question] = self._fold(*question)
        store, folded = self._committed[question]
        world = world._replace(store=store, batch=())
        for index, link in reversed(list(enumerate(links(world)))):
            session = CABLE, link.fence
            if link.fence and session in folded.acks:
                ack = max(link.ack, folded.acks[session])
                world = with_link(world, index, link := link._replace(ack=ack))
            if link.fence and session in folded.ended:
                world = with_link(world, index, link._replace(ended=True, sent=()))
        return world

    def _fold(self, store: Store, batch: tuple[Any, ...]) -> tuple[Store, Any]:
        """What the committer does in one transaction."""
        engine, cursors = self.engines.manager, {CABLE: store.cursor}
        wanted = engine.keys_to_look_up(cursors=cursors, offers=batch)
        rows = {row.sequence: bytes_of(row.tag) for row in store.rows}
        stored = {key: rows[key.sequence] for key in wanted if key.sequence in rows}
        folded = engine.fold_batch(cursors=cursors, offers=batch, stored=stored)
        for offer, ruling in zip(batch, folded.rulings, strict=True):
            if ruling.acked and offer.fence != store.cursor.fence:
                raise Broken("I12: takes an entry of a session that is over")
            store = ruled(store, offer, ruling)
        return store._replace(cursor=folded.cursors.get(CABLE, store.cursor)), folded

    # -- what may happen once, and what may go wrong

    def _free_steps(self, world: World) -> Iterator[Step[World]]:
        kinds = self.scenario.kinds
        if "restore" in kinds and world.backup is None:
            yield Step("backup", world._replace(backup=world.store))
        if "old flash" in kinds and world.image is None:
            yield Step("image", world._replace(image=(world.entries, on_flash(world))))
        oldest = world.entries[0].sequence if world.entries else LATER
        if self.scenario.prunes and oldest <= world.cable.durable.acked_sequence:
            yield Step(f"prune {oldest}", self._pruned(world, world.entries[1:]))

    def _faults(self, world: World) -> Iterator[tuple[str, World]]:
        kinds, cut = self.scenario.kinds, without_link(world)
        if "break" in kinds and world.link is not None:
            yield "link breaks", self._feed(cut, Disconnected())
        if "loss" in kinds and (world.link is not None or world.dead):
            yield "all on the way is lost", self._feed(cut._replace(dead=()), Disconnected())
        if "power cut" in kinds:
            yield "power cut at the cable", self._booted(cut, world.entries, on_flash(world))
        killed = self._feed(world._replace(batch=(), link=None, dead=()), Disconnected())
        if "kill" in kinds:
            yield "manager killed", killed
        if "restore" in kinds and world.backup is not None:
            yield "backup restored", killed._replace(store=world.backup, store_is_old=True)
        if "old flash" in kinds and world.image is not None:
            booted = self._booted(cut, *world.image)
            yield "old flash put back", booted._replace(flash_is_old=True)
        if "slip" in kinds:
            for index, link in enumerate(links(world)):
                if link.sent:
                    slipped = link._replace(sent=link.sent[1:])
                    yield "entry slips in the manager", with_link(world, index, slipped)
        if "end" in kinds and world.cable.phase == "STREAMING":
            ended = EndReceived(reason=EndReason.REQUESTED)
            yield "manager ends the session", self._feed(world, ended)

    # -- what must hold

    def violation(self, world: World) -> str | None:
        """I1 to I4, and what both sides promise each other."""
        store, state = world.store, world.cable
        sequences = [row.sequence for row in store.rows]
        lost = {n for first, last in store.lost for n in range(first, last + 1)}
        acked = max(state.durable.acked_sequence, world.link.ack if world.link else 0)
        if acked > store.committed and not (world.store_is_old or world.flash_is_old):
            return f"I1: {acked} acknowledged, {store.committed} stored"
        if len(set(sequences)) != len(sequences):
            return f"I2: stored twice in {sequences}"
        if set(sequences) | lost != set(range(1, store.committed + 1)):
            return f"I3: {sequences} and lost {sorted(lost)} under cursor {store.committed}"
        if lost and not self._may_lose(lost):
            return f"I3: declares {sorted(lost)} lost"
        if not world.image and not set(store.rows) >= {
            row for row in world.entries if row.sequence in sequences
        }:
            return "I4: other bytes stored than the cable has"
        if len(state.in_flight) > self.scenario.window:
            return f"window: {len(state.in_flight)} in flight"
        if store.cursor.fence > 2 + 3 * world.faults:
            return f"I14: connects again and again, {world.faults} faults are no reason"
        return None

    def _may_lose(self, lost: set[int]) -> bool:
        return self.scenario.prunes or "old flash" in self.scenario.kinds

    def unfinished(self, world: World) -> str | None:
        """I14: all that was produced and is still on the flash is stored once, and confirmed."""
        kept = set(world.store.rows) | set(world.store.quarantine)
        missing = [row for row in world.entries if row not in kept]
        if self.scenario.kinds >= {"restore", "old flash"}:
            # The quarantined of two entries with one number is lost with an older backup: the
            # cable knows its number as confirmed, and so it is. docs/protocol.md says so.
            taken = {row.sequence for row in world.store.rows}
            missing = [row for row in missing if row.sequence not in taken]
        if missing:
            return f"I14: never stored: {missing}"
        if not world.image and world.store.quarantine:
            return f"I14: quarantined without a reason: {world.store.quarantine}"
        acked = world.cable.durable.acked_sequence
        if any(row.sequence > acked for row in world.entries):
            return f"I14: acknowledged only up to {acked}"
        return None


def _check_noted(before: Any, effects: Any, after: Any) -> None:
    """What the engine believes to be noted is what it asked to be noted, no more, no less."""
    acked, fence = before.acked_sequence, before.last_fence
    for effect in effects:
        match effect:
            case NoteAcked():
                acked = effect.sequence
            case NoteFence():
                fence = effect.fence
    if (acked, fence) != (after.acked_sequence, after.last_fence):
        raise Broken(f"believes durable what is not: {after}, not {acked} and fence {fence}")
    if after.last_fence < before.last_fence:
        raise Broken("I12: the fence falls")
