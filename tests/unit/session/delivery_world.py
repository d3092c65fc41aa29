"""What the explored world consists of: a flash, a network and a store, as values."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, NamedTuple

from gridcord.session import cable, manager, opening
from gridcord.session.events import Welcomed
from tests.unit.session.exploration import Broken

CABLE, EPOCH, BATCH = "cable-1", 7, 2
LATER = 1e9


class Engines(NamedTuple):
    """The modules under exploration; a test may put changed ones in."""

    cable: Any = cable
    manager: Any = manager
    opening: Any = opening


class Scenario(NamedTuple):
    """How big the world is and what may go wrong in it."""

    entries: int = 3
    window: int = 2
    faults: int = 3
    kinds: frozenset[str] = frozenset({"break", "loss", "power cut", "kill"})
    prunes: bool = False
    late_news: bool = False  # the engine hears of an entry after the journal has it
    bugs: frozenset[str] = frozenset()  # of the shells


class Row(NamedTuple):
    """A stored entry. The tag stands for its bytes: no two entries ever made have the same."""

    sequence: int
    tag: int


class Frame(NamedTuple):
    """An entry on its way."""

    row: Row
    previous_sequence: int


class Link(NamedTuple):
    """A stream between the two, with what is on its way."""

    hello: Any = None
    fence: int = 0
    welcome: Welcomed | None = None
    sent: tuple[Frame, ...] = ()
    ack: int = 0  # latest wins
    ended: bool = False  # by the manager; the cable has not noticed


class Store(NamedTuple):
    """What the manager has on disk."""

    cursor: Any
    rows: tuple[Row, ...] = ()
    quarantine: tuple[Row, ...] = ()
    lost: tuple[tuple[int, int], ...] = ()

    @property
    def committed(self) -> int:
        """The cursor of the only lineage."""
        return self.cursor.committed(journal_epoch=EPOCH) or 0


class World(NamedTuple):
    """Everything."""

    cable: Any
    entries: tuple[Row, ...]
    store: Store
    produced: int = 0
    next_number: int = 1  # as the journal has it
    untold: tuple[int, ...] = ()
    batch: tuple[Any, ...] = ()
    link: Link | None = None
    dead: tuple[Link, ...] = ()  # the cable has given them up; the manager may not know
    backup: Store | None = None
    image: tuple[tuple[Row, ...], Any] | None = None
    faults: int = 0
    store_is_old: bool = False  # restored, and not yet welcomed by it
    flash_is_old: bool = False


def bytes_of(tag: int) -> bytes:
    return b"entry %d" % tag


def on_flash(world: World) -> Any:
    """What a boot would find: the numbers by the journal itself, the rest as it was noted."""
    held = [row.sequence for row in world.entries]
    return replace(
        world.cable.durable,
        next_sequence=world.next_number,
        oldest_retained=min(held, default=world.next_number),
        holes=_holes([*held, world.next_number], world.cable.durable.holes),
    )


def agreed(world: World) -> World:
    if not world.untold and world.cable.durable != on_flash(world):
        raise Broken(f"believes {world.cable.durable}, the flash has {on_flash(world)}")
    return world


def _holes(numbers: list[int], pruned: tuple[cable.Hole, ...]) -> tuple[cable.Hole, ...]:
    """The numbers between those given that are missing, and what is below them."""
    below = tuple(hole for hole in pruned if hole.last < numbers[0])
    pairs = itertools.pairwise(numbers)
    return below + tuple(cable.Hole(a + 1, b - 1) for a, b in pairs if b > a + 1)


def ruled(store: Store, offer: Any, ruling: Any) -> Store:
    row = Row(offer.key.sequence, int(offer.digest.split()[1]))
    if ruling.lost is not None:
        store = store._replace(lost=(*store.lost, ruling.lost))
    if ruling.advances:
        return store._replace(rows=(*store.rows, row))
    if ruling.decision == "EQUIVOCATION" and row not in store.quarantine:
        return store._replace(quarantine=(*store.quarantine, row))
    return store


def links(world: World) -> tuple[Link, ...]:
    return world.dead if world.link is None else (*world.dead, world.link)


def with_link(world: World, index: int, link: Link) -> World:
    if index == len(world.dead):
        return world._replace(link=link)
    return world._replace(dead=(*world.dead[:index], *_alive(link), *world.dead[index + 1 :]))


def _alive(link: Link) -> tuple[Link, ...]:
    """A link that the cable has given up, as far as the manager may still get something of it."""
    if link.ended or (link.hello is None and not link.sent):
        return ()
    return (Link(hello=link.hello, fence=link.fence, sent=link.sent),)


def without_link(world: World) -> World:
    if world.link is None:
        return world
    return world._replace(link=None, dead=(*world.dead, *_alive(world.link)))
