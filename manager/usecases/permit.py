"""Tell every connected cable what it may do, and renew it before it lapses.

A directive is a lease. Its content is decided from the store each time, so any process of the
manager comes to the same answer, and a block acts at the next look wherever it was made. What hangs
on no cable gets no directive; what its site permits is decided in the same look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading
from gridcord.session.events import DirectiveReceived
from manager.domain.trust.block_rules import can_be_proven
from manager.domain.trust.permission import Granted, PermissionPolicy, permission
from manager.ports import SiteRules, SiteSituation, StoreFull, StoreUnavailable

ACTIVE_PROOF = "ACTIVE_PROOF"
SITE_NOT_LOOKED_AT = "SITE_NOT_LOOKED_AT"

log = structlog.get_logger()


class PermittedSession(Protocol):
    """A live session of a cable, as far as permission goes."""

    @property
    def device_id(self) -> str:
        """The cable."""
        ...

    @property
    def site_id(self) -> str:
        """The site; empty when it is not identified."""
        ...

    @property
    def fence(self) -> int:
        """Of the session."""
        ...

    @property
    def clone_suspected(self) -> bool:
        """The cable seems to exist twice."""
        ...

    @property
    def proving(self) -> bool:
        """It plays a pattern that the manager asked for."""
        ...

    @property
    def asset_loading(self) -> AssetLoading | None:
        """What the cable itself knows of the equipment above the site."""
        ...

    @property
    def granted(self) -> Granted | None:
        """What was granted last."""
        ...

    def direct(self, directive: DirectiveReceived, granted: Granted) -> None:
        """Send a directive; never blocks."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasePolicy:
    """How long the manager's word holds.

    Args:
        lease_s: Seconds a directive holds.
        look_s: Seconds between two looks at the store: how soon a block acts.
    """

    lease_s: float = 90.0
    look_s: float = 1.0


class Permits:
    """Decides and renews directives.

    Args:
        rules: Blocks and loadings, from the store.
        policy: What the aggregator decided.
        leases: How long directives hold.
        now: The manager's clock.
        sleep: Waits on that clock.
        sessions: The live sessions of this process.
        sites: Where something is that hangs on no cable.
    """

    def __init__(
        self,
        *,
        rules: SiteRules,
        policy: PermissionPolicy,
        leases: LeasePolicy,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        sessions: Callable[[], Iterable[PermittedSession]],
        sites: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._rules = rules
        self._policy = policy
        self._leases = leases
        self._now = now
        self._sleep = sleep
        self._sessions = sessions
        self._sites = sites
        self._at_sites: dict[str, Granted] = {}
        self._sites_until_s = 0.0
        self._versions: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._look = asyncio.Event()

    def look_now(self) -> None:
        """A block was made or lifted here: do not wait for the next look."""
        self._look.set()

    async def grant(self, session: PermittedSession) -> tuple[DirectiveReceived, Granted]:
        """Decide for a session that opens; the answer goes into its welcome."""
        situation = await self._rules.situation([session.site_id])
        granted = self._decide(session, situation, proving=session.proving)
        return self._directive(session, granted), granted

    async def while_proving(self, site_id: str) -> dict[str, Permission]:
        """What the cables that are connected at a site might do while they prove it, by cable."""
        situation = await self._rules.situation([site_id])
        return {
            session.device_id: self._decide(session, situation, proving=True).permission
            for session in self._sessions()
            if session.site_id == site_id
        }

    def at_site(self, site_id: str) -> Granted:
        """What something may do that hangs on no cable: nothing before the first look there, and
        nothing once the last look is older than a lease.
        """
        granted = self._at_sites.get(site_id)
        if granted is None or self._now() >= self._sites_until_s:
            self.look_now()
            return Granted(permission=Permission.NONE, reason=SITE_NOT_LOOKED_AT)
        return granted

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self._renew()
            except (StoreFull, StoreUnavailable) as error:
                log.error("directives.not_renewed", error=str(error)[:200])
            await self._wait()

    async def _wait(self) -> None:
        timer = asyncio.ensure_future(self._sleep(self._leases.look_s))
        look = asyncio.ensure_future(self._look.wait())
        await asyncio.wait({timer, look}, return_when=asyncio.FIRST_COMPLETED)
        for future in (timer, look):
            future.cancel()
        self._look.clear()

    async def _renew(self) -> None:
        sessions, sites = list(self._sessions()), set(self._sites())
        if not sessions and not sites:
            return
        looked_s = self._now()
        wanted = sites.union(session.site_id for session in sessions)
        situation = await self._rules.situation(sorted(wanted))
        self._at_sites = {site_id: self._decide_site(site_id, situation) for site_id in sites}
        self._sites_until_s = looked_s + self._leases.lease_s
        now = self._now()
        live = {session.device_id for session in sessions}
        self._due = {device: due for device, due in self._due.items() if device in live}
        self._versions = {device: n for device, n in self._versions.items() if device in live}
        for session in sessions:
            granted = self._decide(session, situation, proving=session.proving)
            if granted != session.granted or now >= self._due.get(session.device_id, 0.0):
                session.direct(self._directive(session, granted), granted)

    def _decide(
        self, session: PermittedSession, situation: SiteSituation, *, proving: bool
    ) -> Granted:
        at_site = situation.blocks.get(session.site_id, ())
        blocks = [block for block in at_site if block.concerns(session.device_id)]
        if proving:  # an appeal lets the pattern through where it can lift the block
            blocks = [block for block in blocks if not can_be_proven(block)]
        loadings = list(situation.loadings.get(session.site_id, ()))
        if session.asset_loading is not None:
            loadings.append(session.asset_loading)
        granted = permission(
            site_identified=bool(session.site_id),
            blocks=blocks,
            clone_suspected=session.clone_suspected,
            loadings=loadings,
            policy=self._policy,
            before=session.granted,
        )
        if proving and granted.permission is Permission.BIDIRECTIONAL:
            return Granted(permission=Permission.BIDIRECTIONAL, reason=ACTIVE_PROOF)
        return granted

    def _decide_site(self, site_id: str, situation: SiteSituation) -> Granted:
        blocks = situation.blocks.get(site_id, ())
        return permission(
            site_identified=True,
            blocks=[block for block in blocks if block.concerns("")],
            clone_suspected=False,
            loadings=situation.loadings.get(site_id, ()),
            policy=self._policy,
            before=self._at_sites.get(site_id),
        )

    def _directive(self, session: PermittedSession, granted: Granted) -> DirectiveReceived:
        now = self._now()
        version = self._versions.get(session.device_id, 0) + 1
        self._versions[session.device_id] = version
        self._due[session.device_id] = now + self._leases.lease_s / 3
        return DirectiveReceived(
            fence=session.fence,
            version=version,
            permission=granted.permission,
            reason=granted.reason,
            lease_s=self._leases.lease_s,
            expire_s=now + self._leases.lease_s,
            charge_to_percent=granted.charge_to_percent,
        )
