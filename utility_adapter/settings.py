"""The utility adapter's settings."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from gridcord.chassis.program import ServerSettings
from gridcord.chassis.settings import FilledFolder, ReadFile, Section, WrittenFile


class StoreSettings(Section):
    """`[store]`: what is known, in one SQLite file."""

    file: WrittenFile


class InboxSettings(Section):
    """`[inbox]`: the folder into which the utility puts files of any format we read."""

    folder: FilledFolder
    look_s: float = Field(default=1.0, gt=0)
    period_s: int = Field(default=1800, ge=60, le=86_400)


class Nem12Settings(Section):
    """`[outbox.nem12]`: how sites and cables are called in NEM12, and who writes to whom.

    A site `nmi:<NMI>` and a cable whose id has at most 12 characters need no entry.
    """

    nmis: dict[str, str] = Field(default_factory=dict)
    serials: dict[str, str] = Field(default_factory=dict)
    sender: str = Field(default="GRIDCORD", min_length=1, max_length=10)
    receiver: str = Field(default="MDP", min_length=1, max_length=10)
    offset_s: int = Field(default=36_000, ge=-50_400, le=50_400)


class OutboxSettings(Section):
    """`[outbox]`: what tells the utility what cables transferred.

    `file` holds everything; `folder` a file for each day (UTC, NEM12: its own), which is written
    again when something of that day changes: choose it where there are many.
    """

    file: WrittenFile | None = None
    folder: FilledFolder | None = None
    format: Literal["csv", "espi", "nem12"] = "csv"
    nem12: Nem12Settings = Nem12Settings()
    write_every_s: float = Field(default=5.0, gt=0)


class EspiSettings(Section):
    """`[espi]`: a Green Button server that is asked for readings; none without `resource_url`.

    Its certificate is checked against the roots of the system (`SSL_CERT_FILE` names others).
    """

    resource_url: str | None = Field(default=None, pattern=r"https?://.+")
    token_url: str = Field(default="", pattern=r"(https?://.+)?")
    client_id: str = ""
    secret_file: ReadFile | None = None
    subscription_id: str = ""
    scope: str = ""
    page_entries: int | None = Field(default=None, ge=1)
    every_s: float = Field(default=900.0, gt=0)


class PrivacySettings(Section):
    """`[privacy]`: do not tell where sites are, only whether a position is inside the radius."""

    radius_m: float | None = Field(default=None, gt=0)


class UtilityAdapterSettings(ServerSettings):
    """All of it."""

    program: ClassVar[str] = "utility-adapter"

    store: StoreSettings
    inbox: InboxSettings
    outbox: OutboxSettings = OutboxSettings()
    espi: EspiSettings = EspiSettings()
    privacy: PrivacySettings = PrivacySettings()
