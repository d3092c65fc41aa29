"""A transfer as the manager tells it: the record and all that was concluded of it."""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.records import TransferRecord
from gridcord.metering.verdict import StatedMatch
from gridcord.settlement.earning import Earning
from gridcord.settlement.transfer import TransferKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTransfer:
    """A TransferRecord that is stored and believed.

    Args:
        key: Its name.
        record: What the cable counted.
        cable_match: What the cable concluded; None while it has not.
        manager_match: What the manager concluded; None while it has not.
        earning: What the driver earns.
        forwarded: The utility has it.
        entry_number: Its place in the log: the order of listing.
        update_number: Rises with each change: the cursor of watching.
        create_s: When it was stored, seconds since 1970 UTC.
        update_s: When it last changed.
    """

    key: TransferKey
    record: TransferRecord
    cable_match: StatedMatch | None
    manager_match: StatedMatch | None
    earning: Earning | None
    forwarded: bool
    entry_number: int
    update_number: int
    create_s: int
    update_s: int
