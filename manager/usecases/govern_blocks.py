"""Blocks that people decide: make, list, lift; each with a reason and an entry in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gridcord.metering.reading import Permission
from gridcord.units import SiteId
from manager.domain.trust.site_block import SiteBlock


class Blocks(Protocol):
    """Where blocks are kept."""

    async def create(
        self,
        site_id: SiteId,
        permission: Permission,
        reason: str,
        *,
        operator: str,
        expire_s: int | None,
        request_id: str | None,
        now_s: int,
    ) -> SiteBlock:
        """Block a site by hand."""
        ...

    async def lift(
        self, site_id: SiteId, reason: str, *, cable_id: str, operator: str, now_s: int
    ) -> Sequence[SiteBlock]:
        """Lift what is in force at a site, or only what is about one cable there."""
        ...

    async def expire(self, *, now_s: int) -> int:
        """Let blocks run out whose time has come; returns how many."""
        ...


class BlockGovernor:
    """Makes and lifts blocks; directives change at once.

    Args:
        blocks: Where they are kept.
        now: The manager's clock, seconds since 1970 UTC.
        changed: Called after each change.
    """

    def __init__(
        self, *, blocks: Blocks, now: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self._blocks = blocks
        self._now = now
        self._changed = changed

    async def create(
        self,
        site_id: SiteId,
        permission: Permission,
        reason: str,
        *,
        operator: str,
        expire_s: int | None = None,
        request_id: str | None = None,
    ) -> SiteBlock:
        """Block a site by hand.

        Raises:
            SiteAlreadyBlocked, ReasonRequired, PermissionInvalid: See `domain.block_rules`.
        """
        block = await self._blocks.create(
            site_id,
            permission,
            reason,
            operator=operator,
            expire_s=expire_s,
            request_id=request_id,
            now_s=int(self._now()),
        )
        self._changed()
        return block

    async def lift(
        self, site_id: SiteId, reason: str, *, operator: str, cable_id: str = ""
    ) -> Sequence[SiteBlock]:
        """Lift what is in force at a site, or only what is about one cable there.

        Raises:
            SiteNotBlocked, ReasonRequired: See `domain.block_rules`.
        """
        lifted = await self._blocks.lift(
            site_id, reason, cable_id=cable_id, operator=operator, now_s=int(self._now())
        )
        self._changed()
        return lifted

    async def expire(self) -> None:
        """Let blocks run out whose time has come."""
        if await self._blocks.expire(now_s=int(self._now())):
            self._changed()
