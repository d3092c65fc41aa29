"""Records for the tests of this folder."""

from __future__ import annotations

from gridcord.evidence.ocmf import FiscalRecord, MeterIdentity
from gridcord.metering.records import TransferRecord
from gridcord.units import CableId, Period, Position, SiteId

START_S = 1_795_419_000  # 2026-11-23T07:30:00Z
METER = MeterIdentity(vendor="Eastron", model="SDM230", serial="23100147", firmware="1.0")
SITE = SiteId("jp.routeb:00112233445566778899AABBCCDDEEFF")


def fiscal(
    *,
    pagination: int = 1,
    charged_wh: int = 450,
    discharged_wh: int = 750,
    site_id: str = SITE,
    cable: str = "cable-34",
) -> FiscalRecord:
    """A record of a whole half hour."""
    period = Period(START_S).next(pagination - 1)
    return FiscalRecord(
        cable_id=CableId(cable),
        pagination=pagination,
        journal_epoch=1,
        sequence_number=pagination,
        meter=METER,
        firmware="0.1",
        utc_offset_min=540,
        transfer=TransferRecord(
            period=period,
            start_s=period.start_s,
            end_s=period.end_s,
            site_to_vehicle_start_wh=10_000,
            site_to_vehicle_end_wh=10_000 + charged_wh,
            vehicle_to_site_start_wh=5_000,
            vehicle_to_site_end_wh=5_000 + discharged_wh,
            site_id=site_id,
            position=Position(35.681236, 139.767125, accuracy_m=8.0, fix_time_s=START_S - 12.5),
            driver_id="driver-80",
            vehicle_id="vehicle-a",
            boot_id="5f0c22",
            end_monotonic_ns=123_456_789_000,
        ),
    )
