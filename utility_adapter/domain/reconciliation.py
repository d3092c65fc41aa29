"""What we told the utility, what it confirmed, and where they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from utility_adapter.domain.transfers import PeriodKey, PeriodTransfer


class Finding(StrEnum):
    """What comparing one cable's period at one site says."""

    AGREES = "AGREES"  # they hold what we sent last
    OUTDATED = "OUTDATED"  # they hold what we sent earlier: send again
    DIFFERS = "DIFFERS"  # they hold what we never sent
    NOT_CONFIRMED = "NOT_CONFIRMED"  # we sent it, they do not have it
    NOT_SENT = "NOT_SENT"  # they have it, we never sent it


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationLine:
    """One cable's period at one site.

    Args:
        key: Site, cable and period.
        finding: What comparing says.
        sent: What we sent last; None for NOT_SENT.
        confirmed: What they hold; None for NOT_CONFIRMED.
    """

    key: PeriodKey
    finding: Finding
    sent: PeriodTransfer | None
    confirmed: PeriodTransfer | None

    @property
    def difference_wh(self) -> int:
        """Net energy they hold more than we sent, Wh, + into the vehicle; absent counts as 0."""
        confirmed = self.confirmed.transferred_wh if self.confirmed else 0
        return confirmed - (self.sent.transferred_wh if self.sent else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The comparison of everything sent with everything confirmed.

    Args:
        lines: By site, cable and period.
    """

    lines: tuple[ReconciliationLine, ...]

    def found(self, finding: Finding) -> tuple[ReconciliationLine, ...]:
        """The lines of one finding."""
        return tuple(line for line in self.lines if line.finding is finding)

    @property
    def settled(self) -> bool:
        """Whether they hold exactly what we sent."""
        return all(line.finding is Finding.AGREES for line in self.lines)

    @property
    def to_send_again(self) -> tuple[PeriodTransfer, ...]:
        """What they lack or hold wrongly."""
        return tuple(
            line.sent
            for line in self.lines
            if line.sent is not None and line.finding is not Finding.AGREES
        )

    @property
    def difference_wh(self) -> int:
        """Net energy they hold more than we sent, over all lines, Wh, + into vehicles."""
        return sum(line.difference_wh for line in self.lines)


def reconcile(
    *, sent: Iterable[PeriodTransfer], confirmed: Iterable[PeriodTransfer]
) -> Reconciliation:
    """Compare what we sent with what the utility says it holds.

    Args:
        sent: Everything we sent, earlier revisions included.
        confirmed: What it says, at most one value of each cable, site and period; of several
            the one of the highest revision counts. A coarse value agrees when it is within its
            step.
    """
    ours: dict[PeriodKey, list[PeriodTransfer]] = defaultdict(list)
    for transfer in sent:
        ours[transfer.key].append(transfer)
    theirs: dict[PeriodKey, PeriodTransfer] = {}
    for transfer in sorted(confirmed, key=lambda transfer: transfer.revision):
        theirs[transfer.key] = transfer
    return Reconciliation(
        lines=tuple(
            _line(key, sorted(ours.get(key, ()), key=_revision), theirs.get(key))
            for key in sorted(ours.keys() | theirs.keys())
        )
    )


def _revision(transfer: PeriodTransfer) -> int:
    return transfer.revision


def _line(
    key: PeriodKey, history: list[PeriodTransfer], confirmed: PeriodTransfer | None
) -> ReconciliationLine:
    return ReconciliationLine(
        key=key,
        finding=_finding(history, confirmed),
        sent=history[-1] if history else None,
        confirmed=confirmed,
    )


def _finding(history: list[PeriodTransfer], confirmed: PeriodTransfer | None) -> Finding:
    if confirmed is None:
        return Finding.NOT_CONFIRMED
    if not history:
        return Finding.NOT_SENT
    if _agree(history[-1], confirmed):
        return Finding.AGREES
    if any(_agree(earlier, confirmed) for earlier in history[:-1]):
        return Finding.OUTDATED
    return Finding.DIFFERS


def _agree(sent: PeriodTransfer, confirmed: PeriodTransfer) -> bool:
    """Equal, or within the step of the coarser of the two."""
    step_wh = max(sent.step_wh, confirmed.step_wh)
    return (
        abs(sent.site_to_vehicle_wh - confirmed.site_to_vehicle_wh) < step_wh
        and abs(sent.vehicle_to_site_wh - confirmed.vehicle_to_site_wh) < step_wh
    )
