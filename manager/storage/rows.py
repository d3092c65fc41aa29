"""The tables. Nobody outside `manager.storage` sees a row.

Times are whole seconds since 1970 UTC, energies Wh, money micros; each such number has 64 bits.
`entry`, `quarantine`, `register_gap` and `audit` are facts and only grow; `transfer`, `site`,
`site_match` and what hangs on them are derived from the facts and can be built again.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Row(SQLModel):
    """A row of the manager's database."""

    metadata = metadata


def key_column(kind: type = BigInteger) -> Column[int]:
    """A number of the primary key."""
    return Column(kind, primary_key=True, autoincrement=False)


def id_column(*, key: bool = False) -> Column[str]:
    """An identifier."""
    return Column(String(128), primary_key=key, nullable=False)


def big_column(*, null: bool = False) -> Column[int]:
    """A 64 bit number."""
    return Column(BigInteger, nullable=null)


def text_column(*, null: bool = False) -> Column[str]:
    """A text of any length."""
    return Column(Text, nullable=null)


class CounterRow(Row, table=True):
    """Numbers given out in commit order: who takes one holds the row until it commits."""

    __tablename__ = "counter"
    name: str = Field(sa_column=id_column(key=True))
    value: int = Field(sa_column=big_column())


class FollowerRow(Row, table=True):
    """How far a follower has come: projections by entry number, streams by the peer's cursor."""

    __tablename__ = "follower"
    name: str = Field(sa_column=id_column(key=True))
    cursor: str = Field(sa_column=text_column())


class CableRow(Row, table=True):
    """A cable: fence, take-overs, suspicion, signing key."""

    __tablename__ = "cable"
    cable_id: str = Field(sa_column=id_column(key=True))
    fence: int = Field(sa_column=big_column())
    boot_id: str = Field(sa_column=id_column())
    takeovers: str = Field(sa_column=text_column())  # JSON list of instants
    clone_suspected: bool = False
    signing_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    first_seen_s: int = Field(sa_column=big_column())


class JournalRow(Row, table=True):
    """A lineage of a cable's journal and how far it is stored: decides duplicates."""

    __tablename__ = "journal"
    cable_id: str = Field(sa_column=id_column(key=True))
    journal_epoch: int = Field(sa_column=key_column())
    committed_sequence: int = Field(sa_column=big_column())
    used_fence: int = Field(sa_column=big_column())  # of the last session that brought it


class LostEntriesRow(Row, table=True):
    """Numbers that a cable declared lost, both ends included."""

    __tablename__ = "lost_entries"
    cable_id: str = Field(sa_column=id_column(key=True))
    journal_epoch: int = Field(sa_column=key_column())
    first_sequence: int = Field(sa_column=key_column())
    last_sequence: int = Field(sa_column=big_column())


class EntryRow(Row, table=True):
    """A journal entry exactly as it was received; the log that everything follows."""

    __tablename__ = "entry"
    __table_args__ = (
        # Time first: inserts land at the end of the index, four times faster than cable first.
        UniqueConstraint("period_start", "cable_id", "journal_epoch", "sequence"),
    )
    entry_number: int = Field(sa_column=key_column())
    cable_id: str = Field(sa_column=id_column())
    journal_epoch: int = Field(sa_column=big_column())
    sequence: int = Field(sa_column=big_column())
    kind: str = Field(sa_column=Column(String(16), nullable=False))
    period_start: int = Field(sa_column=big_column())
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    signature: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    fence: int = Field(sa_column=big_column())
    receive_s: int = Field(sa_column=big_column())


class QuarantineRow(Row, table=True):
    """An entry that is stored but must not be paid, or the second of an equivocation."""

    __tablename__ = "quarantine"
    __table_args__ = (Index(None, "cable_id", "journal_epoch", "sequence"),)
    quarantine_number: int = Field(sa_column=key_column())
    cable_id: str = Field(sa_column=id_column())
    journal_epoch: int = Field(sa_column=big_column())
    sequence: int = Field(sa_column=big_column())
    reason: str = Field(sa_column=Column(String(64), nullable=False))
    detail: str = Field(sa_column=text_column())
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    signature: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    create_s: int = Field(sa_column=big_column())


class TransferRow(Row, table=True):
    """One TransferRecord with all that was concluded of it; derived."""

    __tablename__ = "transfer"
    __table_args__ = (
        Index(None, "entry_number", unique=True),
        Index(None, "site_id", "period_start"),
        Index(None, "driver_id", "period_start"),
        Index(None, "period_start", "cable_id"),
        Index(None, "update_number", unique=True),
        Index(None, "forward_state", "entry_number"),
    )
    cable_id: str = Field(sa_column=id_column(key=True))
    journal_epoch: int = Field(sa_column=key_column())
    sequence: int = Field(sa_column=key_column())
    entry_number: int = Field(sa_column=big_column())
    period_start: int = Field(sa_column=big_column())
    period_length: int = Field(sa_column=big_column())
    start_s: int = Field(sa_column=big_column())
    end_s: int = Field(sa_column=big_column())
    site_id: str = Field(sa_column=id_column())
    driver_id: str = Field(sa_column=id_column())
    vehicle_id: str = Field(sa_column=id_column())
    site_to_vehicle_start_wh: int = Field(sa_column=big_column())
    site_to_vehicle_end_wh: int = Field(sa_column=big_column())
    vehicle_to_site_start_wh: int = Field(sa_column=big_column())
    vehicle_to_site_end_wh: int = Field(sa_column=big_column())
    quality: str = Field(sa_column=Column(String(16), nullable=False))
    missing_s: int | None = Field(sa_column=big_column(null=True))  # None: from before 0005
    clock_state: str = Field(sa_column=Column(String(16), nullable=False))
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    accuracy_m: float | None = None
    fix_s: float | None = None
    currency: str = Field(sa_column=Column(String(3), nullable=False))
    availability_micros: int | None = Field(sa_column=big_column(null=True))
    energy_micros: int | None = Field(sa_column=big_column(null=True))
    tariff_version: str = Field(sa_column=id_column())
    cable_match: str | None = Field(sa_column=text_column(null=True))  # JSON
    manager_match: str | None = Field(sa_column=text_column(null=True))  # JSON
    forward_state: str = Field(sa_column=Column(String(8), nullable=False))  # NEW, SENT
    revision: int = Field(sa_column=big_column())
    update_number: int = Field(sa_column=big_column())
    create_s: int = Field(sa_column=big_column())
    update_s: int = Field(sa_column=big_column())


class RegisterGapRow(Row, table=True):
    """Two records of one journal whose registers do not join."""

    __tablename__ = "register_gap"
    cable_id: str = Field(sa_column=id_column(key=True))
    journal_epoch: int = Field(sa_column=key_column())
    sequence: int = Field(sa_column=key_column())
    site_to_vehicle_gap_wh: int = Field(sa_column=big_column())
    vehicle_to_site_gap_wh: int = Field(sa_column=big_column())


class SiteRow(Row, table=True):
    """A site: what the utility says of it and what is known against it; derived."""

    __tablename__ = "site"
    site_id: str = Field(sa_column=id_column(key=True))
    registered: str | None = Field(sa_column=text_column(null=True))  # JSON of the utility's answer
    registered_s: int | None = Field(sa_column=big_column(null=True))
    distance_m: float | None = None
    matcher_state: str | None = Field(sa_column=text_column(null=True))  # JSON
    matched_period: int | None = Field(sa_column=big_column(null=True))
    last_match: str | None = Field(sa_column=text_column(null=True))  # JSON
    last_match_period: int | None = Field(sa_column=big_column(null=True))
    evidence_nats: float = 0.0
    first_seen_s: int = Field(sa_column=big_column())


class SiteReadingRow(Row, table=True):
    """A reading of a site's period, every revision of it; a fact."""

    __tablename__ = "site_reading"
    __table_args__ = (Index(None, "settled", "receive_s"),)
    site_id: str = Field(sa_column=id_column(key=True))
    period_start: int = Field(sa_column=key_column())
    source: str = Field(sa_column=Column(String(16), primary_key=True))
    revision: int = Field(sa_column=key_column())
    period_length: int = Field(sa_column=big_column())
    import_wh: int | None = Field(sa_column=big_column(null=True))
    export_wh: int | None = Field(sa_column=big_column(null=True))
    consumption_wh: int | None = Field(sa_column=big_column(null=True))
    step_wh: int = Field(sa_column=big_column())
    quality: str = Field(sa_column=Column(String(16), nullable=False))
    receive_s: int = Field(sa_column=big_column())
    settled: bool = False  # the ledger knows it; what cables read it knows from their entries


class SiteBlockRow(Row, table=True):
    """A limit on what may flow at a site."""

    __tablename__ = "site_block"
    __table_args__ = (Index(None, "site_id", "block_number"), Index(None, "state"))
    block_number: int = Field(sa_column=key_column())
    site_id: str = Field(sa_column=id_column())
    permission: str = Field(sa_column=Column(String(16), nullable=False))
    cause: str = Field(sa_column=Column(String(32), nullable=False))
    cable_id: str = Field(sa_column=id_column())  # empty: the whole site
    reason: str = Field(sa_column=text_column())
    state: str = Field(sa_column=Column(String(16), nullable=False))
    evidence: str = Field(sa_column=text_column())  # JSON list
    request_id: str | None = Field(sa_column=Column(String(64), unique=True, nullable=True))
    create_s: int = Field(sa_column=big_column())
    created_by: str = Field(sa_column=id_column())
    expire_s: int | None = Field(sa_column=big_column(null=True))
    review_s: int | None = Field(sa_column=big_column(null=True))
    lift_s: int | None = Field(sa_column=big_column(null=True))
    lifted_by: str | None = Field(sa_column=Column(String(128), nullable=True))
    lift_reason: str | None = Field(sa_column=text_column(null=True))
    doubt_s: int | None = Field(sa_column=big_column(null=True))  # of a cable's place: from when on


class CableSessionRow(Row, table=True):
    """A session of a cable; the one without an end is the live one."""

    __tablename__ = "cable_session"
    __table_args__ = (Index(None, "site_id", "end_s"), Index(None, "start_s"))
    cable_id: str = Field(sa_column=id_column(key=True))
    fence: int = Field(sa_column=key_column())
    site_id: str = Field(sa_column=id_column())
    hems_id: str = Field(sa_column=id_column())
    driver_id: str = Field(sa_column=id_column())
    vehicle_id: str = Field(sa_column=id_column())
    rated_power_w: int = Field(sa_column=big_column())
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    accuracy_m: float | None = None
    fix_s: float | None = None
    start_s: int = Field(sa_column=big_column())
    end_s: int | None = Field(sa_column=big_column(null=True))
    end_reason: str | None = Field(sa_column=Column(String(64), nullable=True))


class ResourceRow(Row, table=True):
    """A vehicle, station or battery: what it said last, and its fence."""

    __tablename__ = "resource"
    resource_id: str = Field(sa_column=id_column(key=True))
    kind: str = Field(sa_column=Column(String(16), nullable=False))
    cable_id: str = Field(sa_column=id_column())
    site_id: str = Field(sa_column=id_column())
    area_id: str = Field(sa_column=id_column())
    capacity_wh: int = Field(sa_column=big_column())
    fence: int = Field(sa_column=big_column())
    start_s: int = Field(sa_column=big_column())


class NoticeRow(Row, table=True):
    """Something a driver or host should know."""

    __tablename__ = "notice"
    __table_args__ = (Index(None, "driver_id", "notice_number"),)
    notice_number: int = Field(sa_column=key_column())
    driver_id: str = Field(sa_column=id_column())
    site_id: str = Field(sa_column=id_column())
    reason: str = Field(sa_column=Column(String(64), nullable=False))
    text: str = Field(sa_column=text_column())
    period_start: int | None = Field(sa_column=big_column(null=True))
    period_length: int | None = Field(sa_column=big_column(null=True))
    permission: str = Field(sa_column=Column(String(16), nullable=False))
    create_s: int = Field(sa_column=big_column())


class AuditRow(Row, table=True):
    """Who did what, or was refused what; chained by hashes, never changed."""

    __tablename__ = "audit"
    audit_number: int = Field(sa_column=key_column())
    create_s: int = Field(sa_column=big_column())
    actor: str = Field(sa_column=id_column())
    action: str = Field(sa_column=Column(String(64), nullable=False))
    subject: str = Field(sa_column=id_column())
    detail: str = Field(sa_column=text_column())  # JSON
    chain_hash: str = Field(sa_column=Column(String(64), nullable=False))


class DemandRow(Row, table=True):
    """What is asked of the fleet in one area and period, and what was allocated."""

    __tablename__ = "demand"
    area_id: str = Field(sa_column=id_column(key=True))
    period_start: int = Field(sa_column=key_column())
    period_length: int = Field(sa_column=big_column())
    target_wh: int = Field(sa_column=big_column())
    contracted_wh: int = Field(sa_column=big_column())
    revision: int = Field(sa_column=big_column())
    sources: str = Field(sa_column=text_column())  # JSON list
    import_limit_w: int | None = Field(sa_column=big_column(null=True))
    export_limit_w: int | None = Field(sa_column=big_column(null=True))
    activation: bool = False
    allocated_wh: int = Field(sa_column=big_column())
    telemetry_wh: int = Field(sa_column=big_column())
    uncabled_wh: int = Field(sa_column=big_column())


class RecheckRow(Row, table=True):
    """A site and period that the manager must look at itself, with the utility's data."""

    __tablename__ = "recheck"
    __table_args__ = (Index(None, "state", "next_s"),)
    site_id: str = Field(sa_column=id_column(key=True))
    period_start: int = Field(sa_column=key_column())
    period_length: int = Field(sa_column=big_column())
    cause: str = Field(sa_column=Column(String(16), nullable=False))  # MISMATCH, SAMPLE, POSITION
    state: str = Field(sa_column=Column(String(8), nullable=False))  # PENDING, DONE
    attempts: int = Field(sa_column=big_column())
    next_s: int = Field(sa_column=big_column())
    create_s: int = Field(sa_column=big_column())


class AssetRow(Row, table=True):
    """Loading of the equipment above sites."""

    __tablename__ = "asset"
    asset_id: str = Field(sa_column=id_column(key=True))
    loading_percent: float
    rated_va: int | None = Field(sa_column=big_column(null=True))
    measure_s: int = Field(sa_column=big_column())


class SiteAssetRow(Row, table=True):
    """Which equipment feeds which site."""

    __tablename__ = "site_asset"
    site_id: str = Field(sa_column=id_column(key=True))
    asset_id: str = Field(sa_column=id_column(key=True))


class ProofRow(Row, table=True):
    """An active proof that was asked for."""

    __tablename__ = "proof"
    __table_args__ = (Index(None, "site_id", "create_s"),)
    proof_id: str = Field(sa_column=id_column(key=True))
    site_id: str = Field(sa_column=id_column())
    cable_id: str = Field(sa_column=id_column())
    pattern: str = Field(sa_column=text_column())  # JSON list of [W, ms]
    reason: str = Field(sa_column=text_column())
    outcome: str | None = Field(sa_column=Column(String(16), nullable=True))
    evidence_nats: float | None = None
    create_s: int = Field(sa_column=big_column())
    expire_s: int = Field(sa_column=big_column())
    end_s: int | None = Field(sa_column=big_column(null=True))


class LeaseRow(Row, table=True):
    """Who leads a task among replicas, with a fence that only rises."""

    __tablename__ = "lease"
    name: str = Field(sa_column=id_column(key=True))
    holder: str = Field(sa_column=id_column())
    fence: int = Field(sa_column=big_column())
    expire_s: int = Field(sa_column=big_column())
