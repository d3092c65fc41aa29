"""The cable node's settings: one TOML file; secrets and keys by path only."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from gridcord.chassis.sections import (
    ClockSettings,
    LogSettings,
    MetricsSettings,
    RemoteSettings,
    SessionSettings,
    TlsSettings,
)
from gridcord.chassis.settings import PlacedFile, ProgramSettings, ReadFile, Section, WrittenFile


class CableSettings(Section):
    """`[cable]`: the cable itself. Its id is its certificate's."""

    rated_power_w: int = Field(default=1500, gt=0, le=22_000)
    driver_id: str = ""
    vehicle_id: str = ""
    period_s: int = Field(default=1800, ge=60, le=86_400)
    sample_s: float = Field(default=1.0, gt=0)
    max_gap_s: float = Field(default=10.0, gt=0)
    utc_offset_min: int = Field(default=540, ge=-840, le=840)
    clock_synchronised: bool | None = None

    @model_validator(mode="after")
    def _gap_is_more_than_a_sample(self) -> Self:
        if self.max_gap_s < self.sample_s:
            message = f"max_gap_s = {self.max_gap_s:g} is less than sample_s = {self.sample_s:g}"
            raise ValueError(message)
        return self


class JournalSettings(Section):
    """`[journal]`: what survives a power cut."""

    file: WrittenFile
    key: WrittenFile
    retention_days: int = Field(default=90, ge=1)


class MeterSettings(Section):
    """`[meter]`: the calibrated meter in the cable."""

    port: str
    unit: int = Field(default=1, ge=1, le=247)
    baudrate: int = 9600
    model: str = "SDM230"
    step_wh: int | None = Field(default=None, ge=1)
    timeout_s: float = Field(default=1.0, gt=0)


class SiteSettings(Section):
    """`[site]`: the house's smart meter. Route-B credentials come from the manager, or a file."""

    driver: Literal["none", "p1", "route_b"] = "none"
    port: str = ""
    version: str = "5"
    credentials: ReadFile | None = None
    identify_s: float = Field(default=300.0, ge=0)
    reading_grace_s: float = Field(default=600.0, ge=0)
    settle_s: float = Field(default=5.0, ge=0)
    request_interval_s: float = Field(default=30.0, ge=0)
    max_gap_s: float = Field(default=300.0, gt=0)


class HemsSettings(Section):
    """`[hems]`: the home energy manager."""

    driver: Literal["none", "echonet"] = "none"
    host: str = ""
    port: int = 3610
    local_host: str = "0.0.0.0"  # noqa: S104  (answers come to any of our addresses)
    local_port: int = 3610
    coverage: Literal["partial", "full"] = "full"
    poll_s: float = Field(default=60.0, gt=0)


class PositionSettings(Section):
    """`[position]`: the GPS receiver."""

    driver: Literal["none", "nmea"] = "none"
    port: str = ""
    baudrate: int = 9600


class ContactorSettings(Section):
    """`[contactor]`: the board that lets current flow."""

    driver: Literal["none", "rapi"] = "none"
    port: str = ""
    watchdog_s: int = Field(default=30, ge=1)
    heartbeat_s: float = Field(default=10.0, gt=0)
    state_s: float = Field(default=5.0, gt=0)
    trip_w: int = Field(default=50, ge=0)
    trip_s: float = Field(default=2.0, ge=0)
    blind_s: float = Field(default=10.0, gt=0)


class MatchSettings(Section):
    """`[match]`: how the cable concludes whether the site's meter saw what it measured."""

    rule: Literal["evidence", "patent"] = "evidence"
    difference_wh: int = Field(default=200, ge=0)


class PolicySettings(Section):
    """`[policy]`: what holds without the manager's word."""

    charge_without_lease: bool = True
    loading_limit_percent: float = Field(default=100.0, gt=0)


class LocalSettings(Section):
    """`[local]`: the Unix socket for installers and tests."""

    socket: PlacedFile | None = None


class CableNodeSettings(ProgramSettings):
    """All of it."""

    program: ClassVar[str] = "cable-node"

    tls: TlsSettings
    manager: RemoteSettings
    journal: JournalSettings
    meter: MeterSettings
    cable: CableSettings = CableSettings()
    site: SiteSettings = SiteSettings()
    hems: HemsSettings = HemsSettings()
    position: PositionSettings = PositionSettings()
    contactor: ContactorSettings = ContactorSettings()
    match: MatchSettings = MatchSettings()
    policy: PolicySettings = PolicySettings()
    local: LocalSettings = LocalSettings()
    metrics: MetricsSettings = MetricsSettings()
    session: SessionSettings = SessionSettings()
    log: LogSettings = LogSettings()
    clock: ClockSettings = ClockSettings()
