"""Confirmed transfers, which formats tell one direction at a time."""

from __future__ import annotations

from collections.abc import Iterator

from gridcord.units import CableId, Period, SiteId
from utility_adapter.domain.readings import Register
from utility_adapter.domain.transfers import PeriodTransfer
from utility_adapter.sources.amounts import whole_step_wh, whole_wh
from utility_adapter.sources.defect import Defect
from utility_adapter.sources.period_fold import Interval
from utility_adapter.sources.source import Item, Limits, Note, NoteKind


class TransferPairs:
    """Joins what a virtual meter of a cable imported (charged) and exported (discharged).

    Args:
        limits: How many periods may be held.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pairs: dict[tuple[SiteId, CableId, Period], dict[Register, Interval]] = {}

    def add(
        self, *, site_id: SiteId, cable_id: CableId, register: Register, value: Interval
    ) -> None:
        """Keep one direction of a period.

        Raises:
            Defect: It was told already, or there are too many.
        """
        period = Period(value.start_s, value.length_s)
        pair = self._pairs.setdefault((site_id, cable_id, period), {})
        if register in pair:
            reason = f"{register} of cable {cable_id} at {period} stands twice"
            raise Defect(value.line, reason)
        pair[register] = value
        if len(self._pairs) > self._limits.names:
            raise Defect(value.line, f"more than {self._limits.names} transfers in one file")

    def items(self) -> Iterator[Item]:
        """The transfers; a note for a period of which a direction has no value."""
        for (site_id, cable_id, period), pair in self._pairs.items():
            charged, discharged = pair.get(Register.IMPORT), pair.get(Register.EXPORT)
            if (
                charged is None
                or discharged is None
                or charged.micro_wh is None
                or discharged.micro_wh is None
            ):
                line = next(iter(pair.values())).line
                text = f"cable {cable_id} at {site_id} {period}"
                yield Note(kind=NoteKind.PERIOD_INCOMPLETE, line=line, text=text)
                continue
            yield PeriodTransfer(
                cable_id=cable_id,
                site_id=site_id,
                period=period,
                site_to_vehicle_wh=whole_wh(charged.micro_wh),
                vehicle_to_site_wh=whole_wh(discharged.micro_wh),
                step_wh=whole_step_wh(max(charged.step_micro_wh, discharged.step_micro_wh)),
                revision=max(charged.revision, discharged.revision),
            )
        self._pairs.clear()
