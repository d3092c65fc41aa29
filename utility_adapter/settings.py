"""The utility adapter's settings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gridcord.chassis.program import ServerSettings
from gridcord.chassis.settings import FilePath, Section


class StoreSettings(Section):
    """`[store]`: what is known, in one SQLite file."""

    file: FilePath


class InboxSettings(Section):
    """`[inbox]`: the folder into which the utility puts files of any format we read."""

    folder: FilePath
    look_s: float = Field(default=1.0, gt=0)
    period_s: int = Field(default=1800, ge=60, le=86_400)


class OutboxSettings(Section):
    """`[outbox]`: the file that tells the utility what cables transferred."""

    file: FilePath | None = None
    write_every_s: float = Field(default=5.0, gt=0)


class PrivacySettings(Section):
    """`[privacy]`: do not tell where sites are, only whether a position is inside the radius."""

    radius_m: float | None = Field(default=None, gt=0)


class UtilityAdapterSettings(ServerSettings):
    """All of it."""

    program: ClassVar[str] = "utility-adapter"

    store: StoreSettings
    inbox: InboxSettings
    outbox: OutboxSettings = OutboxSettings()
    privacy: PrivacySettings = PrivacySettings()
