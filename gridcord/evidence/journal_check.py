"""Believes journal entries: signed by the cable, gap-free, each once, in order.

What a cable's key protects, nobody can change without it: the text of a record, its place in the
journal (sequence number), and how many fiscal records there are (pagination).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gridcord.evidence import ocmf
from gridcord.evidence.bundle_lines import EntryLine
from gridcord.evidence.signature import DEFAULT_ALGORITHM, SignatureError, check
from gridcord.metering.records import JournalEntry, SiteObservation, TransferRecord
from gridcord.settlement.facts import Fact
from gridcord.settlement.transfer import Transfer, TransferKey
from gridcord.units import CableId, epoch_text
from gridcord.wire.journal import entry_from_bytes
from gridcord.wire.session import signed_bytes
from gridcord.wire.values import WireError


class JournalFault(ValueError):
    """An entry cannot be believed; says why."""


@dataclass(slots=True, kw_only=True)
class _Journal:
    """Where the reading of one journal stands.

    Args:
        sequence: Of the last entry; 0 before the first.
        page: Pagination of the last fiscal record; 0 before the first.
        veiled: Entries since then whose content is not shown.
        lost: The cable declared a loss since then.
        last: The last fiscal record's energy.
    """

    sequence: int = 0
    page: int = 0
    veiled: int = 0
    lost: bool = False
    last: TransferRecord | None = None


class JournalReader:
    """Reads the entries of a bundle in their order.

    Args:
        keys: DER of each cable's key.

    Attributes:
        signed: Entries whose signature was checked.
        withheld: Entries of which only a digest is shown.
        quarantined: Names of signed entries that were not believed.
        gaps: Names of entries before which the cable declared a loss.
        breaks: Names of entries whose registers do not start where the record before ended.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys
        self._journals: dict[tuple[str, int], _Journal] = {}
        self._last: tuple[str, int, int] = ("", -1, 0)
        self.signed = self.withheld = 0
        self.quarantined: list[str] = []
        self.gaps: list[str] = []
        self.breaks: list[str] = []

    def facts(self, line: EntryLine) -> Iterator[Fact]:
        """What an entry adds to what is known; nothing for most kinds.

        Raises:
            JournalFault: It is not signed by the cable, or not in its place.
        """
        journal = self._placed(line)
        given = [bool(line.ocmf), bool(line.body), bool(line.digest)]
        if given.count(True) != 1 or bool(line.signature) != bool(line.body):
            raise JournalFault("gives not exactly one of record, body with signature, and digest")
        if line.digest:
            self.withheld += 1
            journal.veiled += 1
            return
        facts = tuple(self._of_record(line, journal) if line.ocmf else self._of_body(line))
        self.signed += 1
        if line.quarantine:
            self.quarantined.append(f"{line.name}: {line.quarantine}")
        else:
            yield from facts

    def _placed(self, line: EntryLine) -> _Journal:
        place = (line.cable_id, line.epoch, line.sequence)
        if place <= self._last:
            raise JournalFault(f"comes after {_name(self._last)}: doubled or out of order")
        self._last = place
        journal = self._journals.setdefault(place[:2], _Journal())
        expected = journal.sequence + 1
        if line.previous is not None and line.previous == journal.sequence:
            self.gaps.append(line.name)
            journal.lost = True
        elif journal.sequence and line.sequence != expected:
            missing = _name((*place[:2], expected))
            raise JournalFault(f"{missing} is missing before it")
        journal.sequence = line.sequence
        return journal

    def _of_record(self, line: EntryLine, journal: _Journal) -> Iterable[Fact]:
        try:
            record = ocmf.verify(line.ocmf, self._key(line))
        except ocmf.OcmfError as failure:
            raise JournalFault(f"its fiscal record is not to be believed: {failure}") from None
        if (record.cable_id, record.journal_epoch, record.sequence_number) != (
            line.cable_id,
            line.epoch,
            line.sequence,
        ):
            raise JournalFault("its fiscal record is that of another entry")
        _check_page(record, journal)
        if journal.last and not journal.veiled and not _continues(record.transfer, journal.last):
            self.breaks.append(line.name)
        journal.page, journal.last = record.pagination, record.transfer
        journal.veiled, journal.lost = 0, False
        key = TransferKey(CableId(line.cable_id), line.epoch, line.sequence)
        return [Transfer(key=key, record=record.transfer)]

    def _of_body(self, line: EntryLine) -> Iterable[Fact]:
        try:
            body, signature = bytes.fromhex(line.body), bytes.fromhex(line.signature)
            message = signed_bytes(
                cable_id=line.cable_id,
                journal_epoch=line.epoch,
                sequence=line.sequence,
                body=body,
            )
            check(
                message=message,
                signature=signature,
                public_key=self._key(line),
                algorithm=DEFAULT_ALGORITHM,
            )
        except (SignatureError, ValueError, OverflowError) as failure:
            raise JournalFault(f"its signature does not fit: {failure}") from None
        return _readings(_content(body, quarantined=bool(line.quarantine)))

    def _key(self, line: EntryLine) -> bytes:
        key = self._keys.get(line.cable_id)
        if key is None:
            raise JournalFault(f"no key of {line.cable_id} is given")
        return key


def _content(body: bytes, *, quarantined: bool) -> JournalEntry | None:
    try:
        return entry_from_bytes(body)
    except WireError as failure:
        if quarantined:
            return None
        raise JournalFault(f"signed, but it says nothing: {failure}") from None


def _readings(content: JournalEntry | None) -> Iterable[Fact]:
    """A transfer is believed by its fiscal record alone; of the others, readings count."""
    return content.readings if isinstance(content, SiteObservation) else ()


def _check_page(record: ocmf.FiscalRecord, journal: _Journal) -> None:
    """Fiscal records are numbered without a gap; as many may be missing as are withheld."""
    step = record.pagination - journal.page
    if journal.page and not journal.lost and not 1 <= step <= journal.veiled + 1:
        raise JournalFault(
            f"fiscal record F{record.pagination} follows F{journal.page}: "
            "records are missing or doubled"
        )


def _continues(transfer: TransferRecord, before: TransferRecord) -> bool:
    """Whether the registers go on where the record before it ended."""
    return (transfer.site_to_vehicle_start_wh, transfer.vehicle_to_site_start_wh) == (
        before.site_to_vehicle_end_wh,
        before.vehicle_to_site_end_wh,
    )


def _name(place: tuple[str, int, int]) -> str:
    return f"{place[0]}/{epoch_text(place[1])}/{place[2]}"
