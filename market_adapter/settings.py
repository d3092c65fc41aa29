"""The market adapter's settings."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from gridcord.chassis.program import ServerSettings
from gridcord.chassis.settings import FilledFolder, ReadFile, Section, WrittenFile


class StoreSettings(Section):
    """`[store]`: bids, contracts, prices and demand, in one SQLite file."""

    file: WrittenFile


class VenueSettings(Section):
    """`[venue]`: where bids go.

    `price_file` is a small auction in this process around a file of prices in JEPX's public
    format, `prices`, with its `journal`; `file_drop` a `folder` whose files are of `form`; `jepx`
    the exchange's own interface at `host` and `port`, which needs `roots`, `member` and
    `contract_code`.
    """

    section: ClassVar[str] = "venue"

    kind: Literal["none", "price_file", "file_drop", "jepx"] = "none"
    profile: str = "jepx.dayahead"
    profile_file: ReadFile | None = None
    prices: ReadFile | None = None
    journal: WrittenFile | None = None
    folder: FilledFolder | None = None
    form: Literal["csv", "jsonl"] = "csv"
    step_lots: int = Field(default=10, ge=1)
    host: str = ""
    port: int = Field(default=0, ge=0, le=65_535)
    roots: ReadFile | None = None
    member: str = ""
    contract_code: str = ""
    timeout_s: float = Field(default=30.0, gt=0)
    settle_s: float = Field(default=5.0, ge=0)
    round_s: float = Field(default=30.0, gt=0)


class IntradaySettings(VenueSettings):
    """`[intraday]`: a second venue beside `[venue]`, such as the same exchange's other market.

    Its keys are those of `[venue]`. Both trade in one store: their contracts add up to one demand.
    """

    section: ClassVar[str] = "intraday"

    profile: str = "jepx.intraday"


class OpenAdrSettings(Section):
    """`[openadr]`: demand response, by OpenADR 3.1 or 2.0b; none without `url`.

    3.1 needs `client_id`, `secret_file` and `programs`; its server's certificate is checked
    against the roots of the system (`SSL_CERT_FILE` names others). 2.0b needs the extra
    `openadr2`, and all of `certificate`, `key` and `roots` for a server of https.
    """

    version: Literal["3.1", "2.0b"] = "3.1"
    url: str | None = Field(default=None, pattern=r"https?://.+")
    ven_name: str = Field(default="gridcord", min_length=1, max_length=128)
    client_id: str = ""
    secret_file: ReadFile | None = None
    programs: tuple[str, ...] = ()
    certificate: ReadFile | None = None
    key: ReadFile | None = None
    roots: ReadFile | None = None
    area: str = "tokyo"
    watts_per_level: int = Field(default=10_000, gt=0)
    look_s: float = Field(default=30.0, gt=0)
    horizon: int = Field(default=48, ge=1, le=1000)


class ImbalanceSettings(Section):
    """`[imbalance]`: files that tell what an imbalance costs; none without `folder`.

    Files of the folder, `*.csv` or `*.jsonl`, are Japan's public table of imbalance prices or
    tables of the columns of `file_drop`'s prices; `settled_by` names who settles by them.
    """

    folder: FilledFolder | None = None
    settled_by: str = Field(default="imbalance", min_length=1, max_length=64)
    look_s: float = Field(default=60.0, gt=0)


class MarketAdapterSettings(ServerSettings):
    """All of it."""

    program: ClassVar[str] = "market-adapter"

    store: StoreSettings
    venue: VenueSettings = VenueSettings()
    intraday: IntradaySettings = IntradaySettings()
    openadr: OpenAdrSettings = OpenAdrSettings()
    imbalance: ImbalanceSettings = ImbalanceSettings()
