"""Look at sites with the utility's own data, conclude, and block (patent: determination 252)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from manager.domain.trust.site import RegisteredSite
from manager.ports import (
    CheckedSite,
    PeerUnavailable,
    SiteChecks,
    SiteToCheck,
    StoreFull,
    StoreUnavailable,
    Utility,
)

MOST_SITES = 100
RETRY_S = 60
AT_ONCE = 8

log = structlog.get_logger()


class SiteChecker:
    """Checks sites whose turn it is.

    Args:
        checks: What is known and concluded.
        utility: Whom to ask; None where there is no utility adapter.
        now: The manager's clock, seconds since 1970 UTC.
        sleep: Waits on that clock.
        every_s: Between two looks, seconds.
        blocked: Called when a site was blocked: directives change at once.
        suspected: Called with a site that an active proof would settle or let in again.
    """

    def __init__(
        self,
        *,
        checks: SiteChecks,
        utility: Utility | None,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        every_s: float,
        blocked: Callable[[], None],
        suspected: Callable[[CheckedSite], Awaitable[None]],
    ) -> None:
        self._checks = checks
        self._utility = utility
        self._now = now
        self._sleep = sleep
        self._every_s = every_s
        self._blocked = blocked
        self._suspected = suspected

    async def run(self) -> None:
        """Check for ever."""
        while True:
            try:
                await self.step()
            except (StoreFull, StoreUnavailable) as error:
                log.error("sites.not_checked", error=str(error)[:200])
            await self._sleep(self._every_s)

    async def step(self) -> None:
        """Check all sites whose turn it is now."""
        due = await self._checks.due(now_s=int(self._now()), limit=MOST_SITES)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(site: SiteToCheck) -> None:
            async with gate:
                await self._check(site)

        await asyncio.gather(*(one(site) for site in due))

    async def _check(self, site: SiteToCheck) -> None:
        try:
            registered = await self._ask(site)
        except PeerUnavailable as error:
            log.warning("utility.unavailable", site_id=site.site_id, error=str(error))
            await self._checks.put_off(site, until_s=int(self._now()) + RETRY_S)
            return
        checked = await self._checks.conclude(site, registered, now_s=int(self._now()))
        if checked.match is not None:
            log.info(
                "site.checked",
                site_id=site.site_id,
                cause=site.cause,
                verdict=checked.match.verdict.value,
                reason=checked.match.reason,
                sentence=checked.match.sentence,
            )
        for block in checked.blocks:
            log.warning(
                "site.blocked",
                site_id=site.site_id,
                cable_id=block.cable_id,
                cause=block.cause.value,
                permission=block.permission.value,
                reason=block.reason,
            )
        if checked.blocks:
            self._blocked()
        if checked.suspect or checked.appealable:
            await self._suspected(checked)

    async def _ask(self, site: SiteToCheck) -> RegisteredSite | None:
        if self._utility is None:
            return site.registered
        if site.fetch_count:
            readings = await self._utility.readings(site.site_id, site.fetch_from, site.fetch_count)
            await self._checks.learn(readings, now_s=int(self._now()))
        return site.registered or await self._utility.site(site.site_id, site.position)
