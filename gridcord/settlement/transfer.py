"""A transfer: one signed record of one cable, as settlement knows it."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.reading import ClockState
from gridcord.metering.records import TransferRecord
from gridcord.units import CableId, Period, epoch_text


@dataclass(frozen=True, slots=True, order=True)
class TransferKey:
    """Names one record for ever.

    Args:
        cable_id: The cable.
        journal_epoch: Lineage of its journal.
        sequence_number: Number within it.
    """

    cable_id: CableId
    journal_epoch: int
    sequence_number: int

    def __str__(self) -> str:
        return f"{self.cable_id}/{epoch_text(self.journal_epoch)}/{self.sequence_number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A record with its name.

    Args:
        key: Its name.
        record: What the cable counted; its signature has been verified.
    """

    key: TransferKey
    record: TransferRecord

    @property
    def period(self) -> Period:
        """The period."""
        return self.record.period

    @property
    def settleable(self) -> bool:
        """Whether its UTC is known; without, nothing is paid or billed yet."""
        return self.record.clock_state is not ClockState.UNKNOWN
