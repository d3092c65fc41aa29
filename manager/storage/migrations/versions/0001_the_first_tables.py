"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this step."""
    op.create_table(
        "asset",
        sa.Column("asset_id", sa.String(length=128), nullable=False),
        sa.Column("loading_percent", sa.Float(), nullable=False),
        sa.Column("rated_va", sa.BigInteger(), nullable=True),
        sa.Column("measure_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_asset")),
    )
    op.create_table(
        "audit",
        sa.Column("audit_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("create_s", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("chain_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("audit_number", name=op.f("pk_audit")),
    )
    op.create_table(
        "cable",
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("boot_id", sa.String(length=128), nullable=False),
        sa.Column("takeovers", sa.Text(), nullable=False),
        sa.Column("clone_suspected", sa.Boolean(), nullable=False),
        sa.Column("signing_key", sa.LargeBinary(), nullable=False),
        sa.Column("first_seen_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cable_id", name=op.f("pk_cable")),
    )
    op.create_table(
        "cable_session",
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("fence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("hems_id", sa.String(length=128), nullable=False),
        sa.Column("driver_id", sa.String(length=128), nullable=False),
        sa.Column("vehicle_id", sa.String(length=128), nullable=False),
        sa.Column("rated_power_w", sa.BigInteger(), nullable=False),
        sa.Column("latitude_deg", sa.Float(), nullable=True),
        sa.Column("longitude_deg", sa.Float(), nullable=True),
        sa.Column("accuracy_m", sa.Float(), nullable=True),
        sa.Column("start_s", sa.BigInteger(), nullable=False),
        sa.Column("end_s", sa.BigInteger(), nullable=True),
        sa.Column("end_reason", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("cable_id", "fence", name=op.f("pk_cable_session")),
    )
    with op.batch_alter_table("cable_session", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_cable_session_site_id_end_s"), ["site_id", "end_s"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_cable_session_start_s"), ["start_s"], unique=False)

    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "demand",
        sa.Column("area_id", sa.String(length=128), nullable=False),
        sa.Column("period_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("period_length", sa.BigInteger(), nullable=False),
        sa.Column("target_wh", sa.BigInteger(), nullable=False),
        sa.Column("contracted_wh", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("import_limit_w", sa.BigInteger(), nullable=True),
        sa.Column("export_limit_w", sa.BigInteger(), nullable=True),
        sa.Column("activation", sa.Boolean(), nullable=False),
        sa.Column("allocated_wh", sa.BigInteger(), nullable=False),
        sa.Column("telemetry_wh", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("area_id", "period_start", name=op.f("pk_demand")),
    )
    op.create_table(
        "entry",
        sa.Column("entry_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("journal_epoch", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("period_start", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("receive_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry_number", name=op.f("pk_entry")),
        sa.UniqueConstraint(
            "period_start",
            "cable_id",
            "journal_epoch",
            "sequence",
            name=op.f("uq_entry_period_start_cable_id_journal_epoch_sequence"),
        ),
    )
    op.create_table(
        "follower",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_follower")),
    )
    op.create_table(
        "journal",
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("journal_epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("committed_sequence", sa.BigInteger(), nullable=False),
        sa.Column("used_fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cable_id", "journal_epoch", name=op.f("pk_journal")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expire_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "lost_entries",
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("journal_epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "cable_id", "journal_epoch", "first_sequence", name=op.f("pk_lost_entries")
        ),
    )
    op.create_table(
        "notice",
        sa.Column("notice_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("driver_id", sa.String(length=128), nullable=False),
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("period_start", sa.BigInteger(), nullable=True),
        sa.Column("period_length", sa.BigInteger(), nullable=True),
        sa.Column("permission", sa.String(length=16), nullable=False),
        sa.Column("create_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("notice_number", name=op.f("pk_notice")),
    )
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notice_driver_id_notice_number"),
            ["driver_id", "notice_number"],
            unique=False,
        )

    op.create_table(
        "proof",
        sa.Column("proof_id", sa.String(length=128), nullable=False),
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("evidence_nats", sa.Float(), nullable=True),
        sa.Column("create_s", sa.BigInteger(), nullable=False),
        sa.Column("expire_s", sa.BigInteger(), nullable=False),
        sa.Column("end_s", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("proof_id", name=op.f("pk_proof")),
    )
    with op.batch_alter_table("proof", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_proof_site_id_create_s"), ["site_id", "create_s"], unique=False
        )

    op.create_table(
        "quarantine",
        sa.Column("quarantine_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("journal_epoch", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("create_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("quarantine_number", name=op.f("pk_quarantine")),
    )
    op.create_table(
        "recheck",
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("period_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("period_length", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_s", sa.BigInteger(), nullable=False),
        sa.Column("create_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "period_start", name=op.f("pk_recheck")),
    )
    with op.batch_alter_table("recheck", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_recheck_state_next_s"), ["state", "next_s"], unique=False
        )

    op.create_table(
        "register_gap",
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("journal_epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("site_to_vehicle_gap_wh", sa.BigInteger(), nullable=False),
        sa.Column("vehicle_to_site_gap_wh", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "cable_id", "journal_epoch", "sequence", name=op.f("pk_register_gap")
        ),
    )
    op.create_table(
        "resource",
        sa.Column("resource_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("area_id", sa.String(length=128), nullable=False),
        sa.Column("capacity_wh", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("start_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", name=op.f("pk_resource")),
    )
    op.create_table(
        "site",
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("registered", sa.Text(), nullable=True),
        sa.Column("registered_s", sa.BigInteger(), nullable=True),
        sa.Column("distance_m", sa.Float(), nullable=True),
        sa.Column("matcher_state", sa.Text(), nullable=True),
        sa.Column("matched_period", sa.BigInteger(), nullable=True),
        sa.Column("last_match", sa.Text(), nullable=True),
        sa.Column("last_match_period", sa.BigInteger(), nullable=True),
        sa.Column("evidence_nats", sa.Float(), nullable=False),
        sa.Column("first_seen_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_site")),
    )
    op.create_table(
        "site_asset",
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("asset_id", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "asset_id", name=op.f("pk_site_asset")),
    )
    op.create_table(
        "site_block",
        sa.Column("block_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("permission", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("create_s", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("expire_s", sa.BigInteger(), nullable=True),
        sa.Column("review_s", sa.BigInteger(), nullable=True),
        sa.Column("lift_s", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(length=128), nullable=True),
        sa.Column("lift_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("block_number", name=op.f("pk_site_block")),
        sa.UniqueConstraint("request_id", name=op.f("uq_site_block_request_id")),
    )
    with op.batch_alter_table("site_block", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_site_block_site_id_block_number"),
            ["site_id", "block_number"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_site_block_state"), ["state"], unique=False)

    op.create_table(
        "site_reading",
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("period_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("period_length", sa.BigInteger(), nullable=False),
        sa.Column("import_wh", sa.BigInteger(), nullable=True),
        sa.Column("export_wh", sa.BigInteger(), nullable=True),
        sa.Column("consumption_wh", sa.BigInteger(), nullable=True),
        sa.Column("step_wh", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.String(length=16), nullable=False),
        sa.Column("receive_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "site_id", "period_start", "source", "revision", name=op.f("pk_site_reading")
        ),
    )
    op.create_table(
        "transfer",
        sa.Column("cable_id", sa.String(length=128), nullable=False),
        sa.Column("journal_epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_number", sa.BigInteger(), nullable=False),
        sa.Column("period_start", sa.BigInteger(), nullable=False),
        sa.Column("period_length", sa.BigInteger(), nullable=False),
        sa.Column("start_s", sa.BigInteger(), nullable=False),
        sa.Column("end_s", sa.BigInteger(), nullable=False),
        sa.Column("site_id", sa.String(length=128), nullable=False),
        sa.Column("driver_id", sa.String(length=128), nullable=False),
        sa.Column("vehicle_id", sa.String(length=128), nullable=False),
        sa.Column("site_to_vehicle_start_wh", sa.BigInteger(), nullable=False),
        sa.Column("site_to_vehicle_end_wh", sa.BigInteger(), nullable=False),
        sa.Column("vehicle_to_site_start_wh", sa.BigInteger(), nullable=False),
        sa.Column("vehicle_to_site_end_wh", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.String(length=16), nullable=False),
        sa.Column("clock_state", sa.String(length=16), nullable=False),
        sa.Column("latitude_deg", sa.Float(), nullable=True),
        sa.Column("longitude_deg", sa.Float(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("availability_micros", sa.BigInteger(), nullable=True),
        sa.Column("energy_micros", sa.BigInteger(), nullable=True),
        sa.Column("tariff_version", sa.String(length=128), nullable=False),
        sa.Column("cable_match", sa.Text(), nullable=True),
        sa.Column("manager_match", sa.Text(), nullable=True),
        sa.Column("forward_state", sa.String(length=8), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("update_number", sa.BigInteger(), nullable=False),
        sa.Column("create_s", sa.BigInteger(), nullable=False),
        sa.Column("update_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cable_id", "journal_epoch", "sequence", name=op.f("pk_transfer")),
    )
    with op.batch_alter_table("transfer", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_transfer_driver_id_period_start"),
            ["driver_id", "period_start"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_transfer_entry_number"), ["entry_number"], unique=True)
        batch_op.create_index(
            batch_op.f("ix_transfer_forward_state_entry_number"),
            ["forward_state", "entry_number"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_transfer_period_start_cable_id"),
            ["period_start", "cable_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_transfer_site_id_period_start"),
            ["site_id", "period_start"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_transfer_update_number"), ["update_number"], unique=True
        )


def downgrade() -> None:
    """Go back to the step before."""
    with op.batch_alter_table("transfer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_transfer_update_number"))
        batch_op.drop_index(batch_op.f("ix_transfer_site_id_period_start"))
        batch_op.drop_index(batch_op.f("ix_transfer_period_start_cable_id"))
        batch_op.drop_index(batch_op.f("ix_transfer_forward_state_entry_number"))
        batch_op.drop_index(batch_op.f("ix_transfer_entry_number"))
        batch_op.drop_index(batch_op.f("ix_transfer_driver_id_period_start"))

    op.drop_table("transfer")
    op.drop_table("site_reading")
    with op.batch_alter_table("site_block", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_site_block_state"))
        batch_op.drop_index(batch_op.f("ix_site_block_site_id_block_number"))

    op.drop_table("site_block")
    op.drop_table("site_asset")
    op.drop_table("site")
    op.drop_table("resource")
    op.drop_table("register_gap")
    with op.batch_alter_table("recheck", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recheck_state_next_s"))

    op.drop_table("recheck")
    op.drop_table("quarantine")
    with op.batch_alter_table("proof", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_proof_site_id_create_s"))

    op.drop_table("proof")
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_notice_driver_id_notice_number"))

    op.drop_table("notice")
    op.drop_table("lost_entries")
    op.drop_table("lease")
    op.drop_table("journal")
    op.drop_table("follower")
    op.drop_table("entry")
    op.drop_table("demand")
    op.drop_table("counter")
    with op.batch_alter_table("cable_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_cable_session_start_s"))
        batch_op.drop_index(batch_op.f("ix_cable_session_site_id_end_s"))

    op.drop_table("cable_session")
    op.drop_table("cable")
    op.drop_table("audit")
    op.drop_table("asset")
