"""Notices for drivers and hosts: stored in the transaction that causes them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.reading import Permission
from gridcord.units import Period
from manager.storage.engine import take_numbers
from manager.storage.rows import NoticeRow

NOTICE: sa.Table = NoticeRow.__table__  # type: ignore[attr-defined]


def add(
    connection: Connection,
    *,
    driver_id: str,
    site_id: str,
    reason: str,
    text: str,
    period: Period | None,
    permission: Permission,
    now_s: int,
) -> None:
    """Tell somebody something.

    Args:
        connection: Of the transaction.
        driver_id: Whom; empty for the host of the site only.
        site_id: Where.
        reason: What, a stable code.
        text: What, in plain words.
        period: What it is about, if a period.
        permission: What may flow at the site now.
        now_s: When.
    """
    connection.execute(
        NOTICE.insert().values(
            notice_number=take_numbers(connection, "notice", 1),
            driver_id=driver_id,
            site_id=site_id,
            reason=reason,
            text=text,
            period_start=period and period.start_s,
            period_length=period and period.length_s,
            permission=permission.value,
            create_s=now_s,
        )
    )
