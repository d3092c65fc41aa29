"""Last reads of cumulative registers: where the next file of a utility goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection, Engine

from gridcord.units import SiteId
from utility_adapter.domain.readings import DataQuality, Register
from utility_adapter.sources.source import RegisterRead
from utility_adapter.storage.tables import REGISTER

RegisterKey = tuple[SiteId, Register]


class KnownRegisters(Mapping[RegisterKey, RegisterRead]):
    """The newest read of each register, asked for one by one: a file needs few of them.

    Args:
        engine: Of the file.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getitem__(self, key: RegisterKey) -> RegisterRead:
        query = sa.select(REGISTER).where(
            REGISTER.c.site_id == key[0], REGISTER.c.register == key[1].value
        )
        with self._engine.begin() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise KeyError(key)
        return _read(row)

    def __iter__(self) -> Iterator[RegisterKey]:
        query = sa.select(REGISTER.c.site_id, REGISTER.c.register)
        with self._engine.begin() as connection:
            rows = connection.execute(query).all()
        return iter([(SiteId(row.site_id), Register(row.register)) for row in rows])

    def __len__(self) -> int:
        with self._engine.begin() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(REGISTER)) or 0)


def put_registers(connection: Connection, reads: Iterable[RegisterRead]) -> None:
    """Keep the newest read of each register; an older one, of a file that came late, is not."""
    rows = [_row(read) for read in reads]
    if not rows:
        return
    told = insert(REGISTER)
    connection.execute(
        told.on_conflict_do_update(
            index_elements=[REGISTER.c.site_id, REGISTER.c.register],
            set_={name: told.excluded[name] for name in ("at_s", "wh", "step_wh", "quality")},
            where=told.excluded.at_s > REGISTER.c.at_s,
        ),
        rows,
    )


def _row(read: RegisterRead) -> dict[str, Any]:
    return {
        "site_id": read.site_id,
        "register": read.register.value,
        "at_s": read.at_s,
        "wh": read.wh,
        "step_wh": read.step_wh,
        "quality": read.quality.value,
    }


def _read(row: Any) -> RegisterRead:
    return RegisterRead(
        site_id=SiteId(row.site_id),
        register=Register(row.register),
        at_s=row.at_s,
        wh=row.wh,
        step_wh=row.step_wh,
        quality=DataQuality(row.quality),
    )
