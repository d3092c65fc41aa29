"""Notices for drivers and hosts: stored in the transaction that causes them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.metering.reading import Permission
from gridcord.units import Period
from manager.domain.records.notice import Notice
from manager.storage.engine import Database, take_numbers
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


class SqlNotices:
    """Notices as the services see them.

    Args:
        database: Where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, number: int, *, driver_id: str, limit: int) -> list[Notice]:
        """Notices behind a number, of one driver or, without one, of all."""
        query = sa.select(NOTICE).where(NOTICE.c.notice_number > number)
        if driver_id:
            query = query.where(NOTICE.c.driver_id == driver_id)
        query = query.order_by(NOTICE.c.notice_number).limit(limit)

        def work(connection: Connection) -> list[Notice]:
            return [_notice(row) for row in connection.execute(query)]

        return await self._database.read(work)

    async def last(self) -> int:
        """The number of the newest notice; 0 for none."""
        query = sa.select(sa.func.max(NOTICE.c.notice_number))
        return await self._database.read(lambda c: c.execute(query).scalar()) or 0


def _notice(row: Any) -> Notice:
    about = row.period_start is not None
    return Notice(
        number=row.notice_number,
        driver_id=row.driver_id,
        site_id=row.site_id,
        reason=row.reason,
        text=row.text,
        period=Period(row.period_start, row.period_length) if about else None,
        permission=Permission(row.permission),
        create_s=row.create_s,
    )
