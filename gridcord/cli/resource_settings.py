"""Settings of `gridcord resource run`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from gridcord.chassis.sections import (
    ClockSettings,
    LogSettings,
    RemoteSettings,
    SessionSettings,
    TlsSettings,
)
from gridcord.chassis.settings import ProgramSettings, Section, WrittenFile
from gridcord.units import parse_site_id
from gridcord.wire.resource import MAX_CAPACITY_WH, MAX_POWER_W, ResourceKind

_LOOKS_A_REVERSION = 3  # words to the device that may be lost before it stops by itself


class ResourceSection(Section):
    """`[resource]`: what is driven, where it is, and what its owner allows."""

    kind: ResourceKind = ResourceKind.BATTERY
    cable_id: str = Field(default="", max_length=128)
    site_id: str = ""
    area_id: str = Field(default="", max_length=128)
    capacity_wh: int = Field(gt=0, le=MAX_CAPACITY_WH)
    reserve_percent: float = Field(default=0.0, ge=0, le=100)
    permitted: bool = True
    charge_limit_w: int = Field(default=MAX_POWER_W, ge=0, le=MAX_POWER_W)
    discharge_limit_w: int = Field(default=MAX_POWER_W, ge=0, le=MAX_POWER_W)
    fence_file: WrittenFile

    @field_validator("site_id")
    @classmethod
    def _a_site(cls, site_id: str) -> str:
        return site_id and str(parse_site_id(site_id))


class DeviceSection(Section):
    """`[device]`: a SunSpec device over Modbus TCP.

    It is read and told every `every_s`, and goes to 0 W by itself after `revert_s` of silence.
    """

    host: str = Field(min_length=1)
    port: int = Field(default=502, ge=1, le=65_535)
    unit: int = Field(default=1, ge=1, le=247)
    timeout_s: float = Field(default=2.0, gt=0)
    every_s: float = Field(default=1.0, gt=0)
    revert_s: int = Field(default=30, ge=1, le=3600)

    @model_validator(mode="after")
    def _in_time(self) -> DeviceSection:
        if self.revert_s < _LOOKS_A_REVERSION * self.every_s:
            message = f"revert_s is at least {_LOOKS_A_REVERSION} times every_s"
            raise ValueError(message)
        return self


class ResourceSettings(ProgramSettings):
    """All of it."""

    program: ClassVar[str] = "resource"

    tls: TlsSettings
    manager: RemoteSettings
    resource: ResourceSection
    device: DeviceSection
    session: SessionSettings = SessionSettings()
    log: LogSettings = LogSettings()
    clock: ClockSettings = ClockSettings()
