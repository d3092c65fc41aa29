"""The port every source of readings and every sink of transfers stands behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Protocol

from gridcord.metering.records import AssetLoading
from gridcord.units import CableId, IdentifierError, SiteId, parse_site_id
from gridcord.units.period import HALF_HOUR_S
from utility_adapter.domain.grid_asset import GridAsset
from utility_adapter.domain.readings import DataQuality, Register
from utility_adapter.domain.site import Site
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.period_fold import Interval

MIB = 1 << 20


class Format(StrEnum):
    """What a file can be."""

    CSV_READINGS = "CSV_READINGS"
    CSV_TRANSFERS = "CSV_TRANSFERS"
    CSV_SITES = "CSV_SITES"
    CSV_ASSETS = "CSV_ASSETS"
    CSV_LOADINGS = "CSV_LOADINGS"
    ESPI = "ESPI"
    NEM12 = "NEM12"
    JAPAN_30_MINUTE = "JAPAN_30_MINUTE"
    IEC_61968_9 = "IEC_61968_9"
    D0036 = "D0036"


class NoteKind(StrEnum):
    """Why something that a sound file holds is not imported."""

    STREAM_SKIPPED = "STREAM_SKIPPED"  # no active energy of a site: reactive, gas, a sum
    PERIOD_INCOMPLETE = "PERIOD_INCOMPLETE"  # not every interval of the period has a value
    REGISTER_FELL = "REGISTER_FELL"  # rolled over or replaced: no difference can be taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that a sound file holds and that is not imported.

    Args:
        kind: Why.
        line: Where, from 1.
        text: For a person.
    """

    kind: NoteKind
    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRead:
    """A cumulative register at an instant.

    Args:
        site_id: The metering point.
        register: Which register.
        at_s: The instant, seconds since 1970 UTC.
        wh: What it showed, Wh, cut to whole Wh, >= 0.
        step_wh: One count, Wh, >= 1.
        quality: What the utility says of it.
    """

    site_id: SiteId
    register: Register
    at_s: int
    wh: int
    step_wh: int
    quality: DataQuality


@dataclass(frozen=True, slots=True)
class Values:
    """Periods of one stream of a site.

    Args:
        site_id: The metering point.
        register: What the stream counts; None for a net stream, + import.
        periods: Their values.
    """

    site_id: SiteId
    register: Register | None
    periods: Sequence[Interval]


Item = Values | RegisterRead | PeriodTransfer | Site | GridAsset | AssetLoading | Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a file may hold.

    Args:
        file_bytes: Size, uncompressed.
        line_bytes: One line of a text format.
        element_bytes: One record of an XML format (an Atom entry, a MeterReading); as a tree
            it takes some fifteen times as much memory.
        names: Sites, streams, pieces of equipment, and rows that are kept in memory.
    """

    file_bytes: int = 4096 * MIB
    line_bytes: int = 1 * MIB
    element_bytes: int = 16 * MIB
    names: int = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a file does not say about itself.

    Args:
        received_at_s: When it was received, seconds since 1970 UTC.
        period_s: Length of the periods wanted, s: shorter intervals are summed, longer refused.
        scheme: Replaces the format's own scheme of site ids (`nmi`, `espi`, `mpan`, ...), so
            that equal numbers of two utilities stay two sites.
        aliases: Site id of the file -> site id under which it is registered.
        cables: Meter serial number of a NEM12 file -> cable, for transfers that a utility
            confirms in that format.
        nem12_offset_s: Standard time of a NEM12 file, seconds east of UTC, all year.
        d0036_zone: Local time of a D0036 file.
        japan_register: What a Japanese 30-minute file counts: those of supply points count
            import, those of generating points export; the file does not say which it is.
        japan_issue: Number of a Japanese file's re-issue, raised by hand when a value of the
            same family is corrected; >= 0.
        known_registers: Last known reads, so that a file of cumulative registers begins where
            the one before it ended.
        limits: How much the file may hold.
    """

    received_at_s: float
    period_s: int = HALF_HOUR_S
    scheme: str | None = None
    aliases: Mapping[SiteId, SiteId] = field(default_factory=dict)
    cables: Mapping[str, CableId] = field(default_factory=dict)
    nem12_offset_s: int = 10 * 3600
    d0036_zone: str = "Europe/London"
    japan_register: Register = Register.IMPORT
    japan_issue: int = 0
    known_registers: Mapping[tuple[SiteId, Register], RegisterRead] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def site_id(self, *, scheme: str, value: str, line: int | None) -> SiteId:
        """The registered site of a metering point's own number.

        Raises:
            Defect: The number cannot be a part of a site id.
        """
        try:
            site_id = parse_site_id(f"{self.scheme or scheme}:{value}")
        except IdentifierError as error:
            raise Defect(line, str(error)) from None
        return self.aliases.get(site_id, site_id)


class Part(Protocol):
    """One stream of bytes of a document, to be read as often as needed."""

    def open(self) -> BinaryIO:
        """The bytes from the beginning; the caller closes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What was delivered at once: a file, or the pages of a feed.

    Args:
        name: For messages, and the `source` of its facts.
        parts: One for a file, one for each page.
    """

    name: str
    parts: tuple[Part, ...]


class FormatReader(Protocol):
    """Reads one format."""

    def __call__(self, document: Document, options: ReadOptions) -> Iterator[Item]:
        """Everything the document holds, in bounded memory.

        Raises:
            Defect: It is broken; what came before must not be used.
        """
        ...


class TransferWriter(Protocol):
    """Writes transfers in one format."""

    def __call__(
        self, transfers: Iterable[PeriodTransfer], out: BinaryIO, *, written_at_s: int
    ) -> None:
        """Write a whole file.

        Args:
            transfers: Sorted by site, cable and period, one revision of each.
            out: Where to; stays open.
            written_at_s: The file's own time, seconds since 1970 UTC.

        Raises:
            ValueError: Not sorted, or the format cannot express it.
        """
        ...
