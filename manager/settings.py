"""The manager's settings: one TOML file, every key with a default that works."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gridcord.chassis.program import ServerSettings
from gridcord.chassis.sections import RemoteSettings
from gridcord.chassis.settings import FilePath, ReadFile, Section, WrittenFile
from gridcord.metering.reading import Permission


class DatabaseSettings(Section):
    """`[database]`: SQLite beside the settings file, or PostgreSQL by its address."""

    file: WrittenFile | None = None
    url: str | None = Field(default=None, pattern=r"postgresql\+psycopg://.+")
    migrate: bool = True


class SessionSettings(Section):
    """`[session]`: how long the manager's word holds, and how many entries may wait."""

    lease_s: float = Field(default=90.0, gt=0, le=86_400)
    look_s: float = Field(default=1.0, gt=0)
    telemetry_interval_s: float = Field(default=5.0, gt=0)
    setpoint_lease_s: float = Field(default=30.0, gt=0)
    most_pending_entries: int = Field(default=20_000, ge=1)
    takeovers: int = Field(default=3, ge=1)
    takeovers_within_s: float = Field(default=600.0, gt=0)
    reconnects: int = Field(default=60, ge=1)
    reconnects_within_s: float = Field(default=3_600.0, gt=0)  # real seconds


class PermissionSettings(Section):
    """`[permission]`: what is withheld, and from whom."""

    unidentified: Permission = Permission.CHARGE_ONLY
    clone_suspected: Permission = Permission.CHARGE_ONLY
    mismatched: Permission = Permission.NONE
    location_mismatched: Permission = Permission.NONE
    loading_limit_percent: float = Field(default=100.0, gt=0)
    loading_release_percent: float = Field(default=95.0, gt=0)
    charge_to_percent: float = Field(default=50.0, ge=0, le=100)
    block_expires_days: float | None = Field(default=None, gt=0)
    block_review_days: float | None = Field(default=30.0, gt=0)


class MatchSettings(Section):
    """`[match]`: how the manager decides whether a site's meter saw what cables measured."""

    rule: str = Field(default="evidence", pattern="evidence|patent")
    difference_wh: int = Field(default=200, ge=0)
    reading_grace_s: float = Field(default=900.0, ge=0)
    check_every_s: float = Field(default=60.0, gt=0)
    history_days: int = Field(default=28, ge=0, le=365)
    sample_matched: float = Field(default=0.05, ge=0, le=1)
    position_tolerance_m: float = Field(default=250.0, gt=0)
    proof_reading_s: float = Field(default=6.0, gt=0)
    proof_again_s: int = Field(default=14_400, ge=0)
    proof_repeat_s: int = Field(default=1_800, ge=0)


class TariffSettings(Section):
    """`[tariff]`: what drivers earn per connected period and per kWh."""

    currency: str = Field(default="JPY", pattern="[A-Z]{3}")
    zone: str = "Asia/Tokyo"
    availability: str = "1"
    proration: str = Field(default="CONNECTED_TIME", pattern="CONNECTED_TIME|WHOLE_PERIOD")
    discharge_per_kwh: str = "20"
    charge_per_kwh: str = "12"


class SettlementSettings(Section):
    """`[settlement]`: the choices that a tariff does not make, and the file of other terms."""

    pay_unread: bool = False
    pay_undecided: bool = True
    imbalance_percent: int = Field(default=0, ge=0, le=100)
    terms: ReadFile | None = None


class EvidenceSettings(Section):
    """`[evidence]`: the aggregator's key that signs bundles; unsigned without one."""

    signing_key: ReadFile | None = None


class DispatchSettings(Section):
    """`[dispatch]`: how demand becomes setpoints."""

    tick_s: float = Field(default=2.0, gt=0)
    default_area: str = Field(default="tokyo", min_length=1, max_length=128)
    ramp_w_per_s: float | None = Field(default=None, gt=0)  # of each resource
    random_offset_s: float = Field(default=0.0, ge=0)
    dwell_s: float = Field(default=0.0, ge=0)
    ready_early_s: float = Field(default=600.0, ge=0)
    efficiency_percent: float = Field(default=92.0, ge=50, le=100)
    refused_hold_s: float = Field(default=60.0, gt=0)


class BiddingSettings(Section):
    """`[bidding]`: whether and how the manager bids by itself."""

    market: str | None = None
    every_s: float = Field(default=300.0, gt=0)
    confidence: float = Field(default=0.8, ge=0.5, lt=1)
    sell_at_least: str = "18"  # per kWh, while too few past prices are known
    buy_at_most: str = "10"
    wear_per_kwh: str = "2"
    price_days: int = Field(default=20, ge=1, le=365)


class SiteAccessSettings(Section):
    """`[site_access]`: the file of route-B secrets that cables get; `gridcord site-access`."""

    file: FilePath | None = None


class PeriodSettings(Section):
    """`[period]`: the settlement period of the market."""

    length_s: int = Field(default=1800, ge=60, le=86_400)


class ManagerSettings(ServerSettings):
    """All of it."""

    program: ClassVar[str] = "manager"

    period: PeriodSettings = PeriodSettings()
    database: DatabaseSettings = DatabaseSettings()
    session: SessionSettings = SessionSettings()
    permission: PermissionSettings = PermissionSettings()
    match: MatchSettings = MatchSettings()
    tariff: TariffSettings = TariffSettings()
    settlement: SettlementSettings = SettlementSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    dispatch: DispatchSettings = DispatchSettings()
    bidding: BiddingSettings = BiddingSettings()
    site_access: SiteAccessSettings = SiteAccessSettings()
    utility: RemoteSettings | None = None
    market: RemoteSettings | None = None

    @property
    def period_s(self) -> int:
        """Length of a settlement period, seconds."""
        return self.period.length_s
