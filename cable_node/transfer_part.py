"""A part of a period as the meter counted it, as a record."""

from __future__ import annotations

import math

from gridcord.metering.records import TransferRecord
from gridcord.metering.registers import PeriodEnergy


def transfer_record(part: PeriodEnergy, *, final: bool) -> TransferRecord:
    """A record of what the meter counted; whole seconds, the cable's identities still open."""
    start_s, end_s = int(part.start.at_s), min(int(part.end.at_s), part.period.end_s)
    return TransferRecord(
        period=part.period,
        start_s=start_s,
        end_s=end_s,
        site_to_vehicle_start_wh=part.start.import_wh,
        site_to_vehicle_end_wh=part.end.import_wh,
        vehicle_to_site_start_wh=part.start.export_wh or 0,
        vehicle_to_site_end_wh=part.end.export_wh or 0,
        step_wh=part.step_wh,
        quality=part.quality,
        missing_s=min(end_s - start_s, math.ceil(part.unmeasured_s)),
        final=final,
    )
