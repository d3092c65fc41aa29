"""The market adapter's settings."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from gridcord.chassis.program import ServerSettings
from gridcord.chassis.settings import FilePath, Section


class StoreSettings(Section):
    """`[store]`: bids, contracts, prices and demand, in one SQLite file."""

    file: FilePath


class VenueSettings(Section):
    """`[venue]`: where bids go.

    `price_file` is a small auction in this process around a file of prices in JEPX's public
    format; `file_drop` a folder; `jepx` the exchange's own interface.
    """

    kind: Literal["none", "price_file", "file_drop", "jepx"] = "none"
    profile: str = "jepx.dayahead"
    profile_file: FilePath | None = None
    prices: FilePath | None = None
    journal: FilePath | None = None
    folder: FilePath | None = None
    step_lots: int = Field(default=10, ge=1)
    host: str = ""
    port: int = 0
    roots: FilePath | None = None
    member: str = ""
    contract_code: str = ""
    timeout_s: float = Field(default=30.0, gt=0)
    settle_s: float = Field(default=5.0, ge=0)
    round_s: float = Field(default=30.0, gt=0)


class OpenAdrSettings(Section):
    """`[openadr]`: demand response by OpenADR 3.1."""

    url: str | None = None
    client_id: str = ""
    secret_file: FilePath | None = None
    area: str = "tokyo"
    look_s: float = Field(default=30.0, gt=0)
    horizon: int = Field(default=48, ge=1, le=1000)


class MarketAdapterSettings(ServerSettings):
    """All of it."""

    program: ClassVar[str] = "market-adapter"

    store: StoreSettings
    venue: VenueSettings = VenueSettings()
    openadr: OpenAdrSettings = OpenAdrSettings()
