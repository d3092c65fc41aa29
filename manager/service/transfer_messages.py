"""Transfers, blocks and matches as the services tell them."""

from __future__ import annotations

from gridcord.api.manager.v1 import (
    driver_service_pb2,
    site_block_service_pb2,
    transfer_service_pb2,
)
from gridcord.api.types.v1 import types_pb2
from gridcord.metering.verdict import StatedMatch
from gridcord.settlement.earning import Earning
from gridcord.units import Period
from gridcord.wire.readings import (
    EnumMap,
    match_to_proto,
    permission_to_proto,
    quality_to_proto,
)
from gridcord.wire.values import money_to_proto, period_to_proto, time_to_proto
from manager.domain.records.notice import Notice
from manager.domain.records.transfer import StoredTransfer
from manager.domain.trust.site_block import BlockCause, BlockState, SiteBlock

_CAUSE = EnumMap(site_block_service_pb2.BlockCause, BlockCause, "BLOCK_CAUSE_")
_STATE = EnumMap(site_block_service_pb2.BlockState, BlockState, "BLOCK_STATE_")


def transfer_to_proto(transfer: StoredTransfer) -> transfer_service_pb2.Transfer:
    """The message of a transfer."""
    record, key = transfer.record, transfer.key
    return transfer_service_pb2.Transfer(
        key=transfer_service_pb2.TransferKey(
            cable_id=key.cable_id,
            journal_epoch=key.journal_epoch,
            sequence_number=key.sequence_number,
        ),
        site_id=record.site_id,
        period=period_to_proto(record.period),
        start_time=time_to_proto(record.start_s),
        end_time=time_to_proto(record.end_s),
        transferred_wh=record.transferred_wh,
        site_to_vehicle_wh=record.site_to_vehicle_wh,
        vehicle_to_site_wh=record.vehicle_to_site_wh,
        driver_id=record.driver_id,
        vehicle_id=record.vehicle_id,
        quality=quality_to_proto(record.quality),
        cable_match=_match(transfer.cable_match),
        manager_match=_match(transfer.manager_match),
        earning=_earning(transfer.earning),
        create_time=time_to_proto(transfer.create_s),
        update_time=time_to_proto(transfer.update_s),
        fiscal_record=record.fiscal_record,
        forwarded=transfer.forwarded,
    )


def _match(match: StatedMatch | None) -> types_pb2.Match | None:
    return None if match is None else match_to_proto(match)


def _earning(earning: Earning | None) -> transfer_service_pb2.Earning | None:
    if earning is None:
        return None
    return transfer_service_pb2.Earning(
        availability=money_to_proto(earning.availability),
        energy=money_to_proto(earning.energy),
        tariff_version=earning.tariff,
    )


def block_to_proto(block: SiteBlock) -> site_block_service_pb2.SiteBlock:
    """The message of a block."""
    return site_block_service_pb2.SiteBlock(
        block_number=block.number,
        site_id=block.site_id,
        permission=permission_to_proto(block.permission),
        cause=_CAUSE.to_proto(block.cause),
        cable_id=block.cable_id,
        reason=block.reason,
        create_time=time_to_proto(block.create_s),
        created_by=block.created_by,
        expire_time=None if block.expire_s is None else time_to_proto(block.expire_s),
        review_time=None if block.review_s is None else time_to_proto(block.review_s),
        lift_time=None if block.lift_s is None else time_to_proto(block.lift_s),
        lifted_by=block.lifted_by or "",
        lift_reason=block.lift_reason or "",
        state=_STATE.to_proto(block.state),
        evidence=block.evidence,
    )


def notice_to_proto(notice: Notice) -> driver_service_pb2.Notice:
    """The message of a notice."""
    period: Period | None = notice.period
    return driver_service_pb2.Notice(
        driver_id=notice.driver_id,
        site_id=notice.site_id,
        reason=notice.reason,
        text=notice.text,
        period=None if period is None else period_to_proto(period),
        permission=permission_to_proto(notice.permission),
        create_time=time_to_proto(notice.create_s),
    )
