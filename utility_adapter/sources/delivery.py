"""A delivery that was found sound to its end: what it holds, ready to be imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, TypeVar

from gridcord.metering.records import AssetLoading
from gridcord.units import Period, SiteId
from utility_adapter.domain.grid_asset import GridAsset
from utility_adapter.domain.readings import ReadingFact
from utility_adapter.domain.site import Site, updated
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.period_fold import Interval
from utility_adapter.sources.source import (
    Format,
    Item,
    Note,
    NoteKind,
    ReadOptions,
    RegisterRead,
    Values,
)
from utility_adapter.sources.spool import Spool

BATCH = 1000
_NOTES_KEPT = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a delivery held, for logs and people.

    Args:
        facts: How many values of registers.
        sites: How many sites they are of.
        notes: How much was left out, by reason.
        first_notes: The first of those, at most 100.
    """

    facts: int
    sites: int
    notes: Mapping[NoteKind, int]
    first_notes: tuple[Note, ...]


class Delivery:
    """One file, or one answer of a server, read to its end and found sound.

    Closing it, or leaving its `with` block, frees its temporary file.

    Attributes:
        name: The file's name or the address.
        format: What it was.
        summary: What it held.
        sites: What it told of sites, one entry each.
        assets: Equipment, as told.
        loadings: Loadings of equipment, in the file's order.
        transfers: Transfers that the utility confirms.
        registers: The last read of each cumulative register; the newest known is to be given
            to the next file as `ReadOptions.known_registers`.
    """

    def __init__(self, *, name: str, found: Format, content: _Content) -> None:
        self.name = name
        self.format = found
        self.summary = content.summary()
        self.sites = tuple(content.sites.values())
        self.assets = tuple(content.assets)
        self.loadings = tuple(content.loadings)
        self.transfers = tuple(content.transfers)
        self.registers = tuple(content.registers)
        self._spool = content.spool

    def batches(self, size: int = BATCH) -> Iterator[tuple[ReadingFact, ...]]:
        """The facts in the file's order, at most `size` at once; may be asked for again."""
        return self._spool.batches(size)

    def facts(self) -> Iterator[ReadingFact]:
        """The facts one by one."""
        return (fact for batch in self.batches() for fact in batch)

    def close(self) -> None:
        """Free the temporary file."""
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ReadingSource(Protocol):
    """A place that is asked for readings again and again, such as a utility's server."""

    async def fetch(self, options: ReadOptions) -> Delivery | None:
        """Everything new, found sound to its end; None when there is nothing new.

        Raises:
            FileRefused: What came is broken; nothing of it is to be imported.
            PullFailed: It could not be asked, or said no.
        """
        ...


class _Content:
    """Sorts what a reader finds."""

    def __init__(self, options: ReadOptions, name: str) -> None:
        self._limit = options.limits.names
        self.spool = Spool(received_at_s=options.received_at_s, source=name, limits=options.limits)
        self.sites: dict[SiteId, Site] = {}
        self.assets: list[GridAsset] = []
        self.loadings: list[AssetLoading] = []
        self.transfers: list[PeriodTransfer] = []
        self.registers: list[RegisterRead] = []
        self._counts: Counter[NoteKind] = Counter()
        self._notes: list[Note] = []

    def take(self, item: Item) -> None:
        match item:
            case Values():
                for missing in self.spool.add(item):
                    self._note(_incomplete(item, missing))
            case Note():
                self._note(item)
            case Site():
                known = self.sites.get(item.site_id)
                told = updated(known=known, told=item) if known else item
                self.sites[item.site_id] = told
                self._check(len(self.sites))
            case GridAsset():
                self._keep(self.assets, item)
            case AssetLoading():
                self._keep(self.loadings, item)
            case PeriodTransfer():
                self._keep(self.transfers, item)
            case RegisterRead():
                self._keep(self.registers, item)

    def _note(self, note: Note) -> None:
        self._counts[note.kind] += 1
        if len(self._notes) < _NOTES_KEPT:
            self._notes.append(note)

    def _keep(self, items: list[T], item: T) -> None:
        items.append(item)
        self._check(len(items))

    def _check(self, count: int) -> None:
        if count > self._limit:
            raise Defect(None, f"more than {self._limit} of one kind in one file: split it")

    def summary(self) -> Summary:
        return Summary(
            facts=self.spool.count,
            sites=self.spool.sites,
            notes=dict(self._counts),
            first_notes=tuple(self._notes),
        )


def _incomplete(values: Values, missing: Interval) -> Note:
    period = Period(missing.start_s, missing.length_s)
    text = f"{values.site_id} {values.register or 'net'} {period}"
    return Note(kind=NoteKind.PERIOD_INCOMPLETE, line=missing.line, text=text)


def collect(*, name: str, found: Format, items: Iterable[Item], options: ReadOptions) -> Delivery:
    """Read everything to its end; only then is there a delivery.

    Raises:
        Defect: The reader found one; nothing is left behind.
    """
    content = _Content(options, name)
    try:
        for item in items:
            content.take(item)
        return Delivery(name=name, found=found, content=content)
    except BaseException:
        content.spool.close()
        raise
