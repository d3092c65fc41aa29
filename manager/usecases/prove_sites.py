"""Active proofs: ask for a pattern nobody can foresee, and steer the vehicle through it."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from gridcord.metering.proof_pattern import Plateau, ProofLimits, proof_pattern
from gridcord.metering.reading import Permission
from gridcord.units import SiteId
from manager.domain.records.resource import ResourceState
from manager.domain.trust.proof_limits import proof_limits
from manager.ports import CheckedSite

LEAD_READINGS = 12  # that tell how restless the house is, before the pattern

log = structlog.get_logger()


class NoCableConnected(Exception):
    """No cable is connected at the site."""


class ProofNotPossible(Exception):
    """The site's meter gives no power readings, or nothing can be steered there now."""


class ProvingCable(Protocol):
    """A live session of a cable."""

    @property
    def device_id(self) -> str:
        """The cable."""
        ...

    @property
    def site_id(self) -> str:
        """The site."""
        ...

    @property
    def can_prove(self) -> bool:
        """The site's meter gives power readings."""
        ...

    def ask_for_proof(self, proof_id: str, pattern: Sequence[Plateau], *, start_s: float) -> None:
        """Ask for the readings; never blocks."""
        ...

    proving: bool


class ProvingResource(Protocol):
    """A live session of a resource."""

    pinned_w: int | None

    @property
    def cable_id(self) -> str:
        """The cable it hangs on."""
        ...

    def state(self) -> ResourceState | None:
        """What it is and can do now."""
        ...

    def steer(self, power_w: int, *, lease_s: float, reason: str) -> None:
        """Send a setpoint; never blocks."""
        ...


class Proofs(Protocol):
    """Where proofs are kept."""

    async def asked(
        self,
        proof_id: str,
        *,
        site_id: SiteId,
        cable_id: str,
        pattern: Sequence[Plateau],
        reason: str,
        actor: str,
        now_s: int,
        expire_s: int,
    ) -> None:
        """Keep a proof that was asked for; a block of the site counts as appealed."""
        ...

    async def in_question(self, site_id: SiteId) -> list[str]:
        """Cables in whose transfers the site was doubted, the one that moved most first."""
        ...

    async def recent(self, site_id: SiteId, *, since_s: int, undecided_since_s: int) -> bool:
        """Whether a site proved itself since then, or was asked at all since the later instant."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofPolicy:
    """How proofs are made.

    Args:
        reading_s: Usual seconds from one reading of a site's meter to the next.
        again_s: A suspected site that proved itself is not asked again sooner, seconds.
        repeat_s: Nor is one whose proof did not decide, or failed, seconds.
        lease_s: Of the setpoints of a pattern, seconds.
    """

    reading_s: float = 6.0
    again_s: int = 4 * 3600
    repeat_s: int = 1800
    lease_s: float = 30.0


class Prover:
    """Asks for proofs and steers vehicles through them.

    Args:
        proofs: Where they are kept.
        policy: How they are made.
        cables: The live sessions of cables.
        resources: The live sessions of resources.
        permitted: What each cable at a site might do while it proves.
        now: The manager's clock, seconds since 1970 UTC.
        sleep: Waits on that clock.
        changed: Called when a cable begins or ends to prove: its directive changes.
    """

    def __init__(
        self,
        *,
        proofs: Proofs,
        policy: ProofPolicy,
        cables: Callable[[], Iterable[ProvingCable]],
        resources: Callable[[], Iterable[ProvingResource]],
        permitted: Callable[[str], Awaitable[Mapping[str, Permission]]],
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._proofs = proofs
        self._policy = policy
        self._cables = cables
        self._resources = resources
        self._permitted = permitted
        self._now = now
        self._sleep = sleep
        self._changed = changed
        self._playing: set[asyncio.Task[None]] = set()

    async def suspected(self, checked: CheckedSite) -> None:
        """A site that is suspected, or blocked for its meter, proves itself if it can.

        Not one that was asked lately; a blocked one is asked as seldom as one that is believed.
        """
        now_s, policy = int(self._now()), self._policy
        repeat_s = policy.repeat_s if checked.suspect or checked.blocks else policy.again_s
        if await self._proofs.recent(
            checked.site_id,
            since_s=now_s - policy.again_s,
            undecided_since_s=now_s - repeat_s,
        ):
            return
        try:
            reason = "the site is blocked" if checked.appealable else "the site is suspected"
            await self.ask(checked.site_id, reason, "manager")
        except (NoCableConnected, ProofNotPossible) as error:
            log.info("proof.not_asked", site_id=checked.site_id, why=str(error))

    async def ask(self, site_id: SiteId, reason: str, actor: str) -> tuple[str, str]:
        """Ask for a proof; returns its id and the cable that gives it.

        Raises:
            NoCableConnected: Nobody is there.
            ProofNotPossible: No power readings, or nothing to steer.
        """
        cable, resource, limits = await self._who(site_id)
        pattern = proof_pattern(seed=secrets.token_bytes(32), limits=limits)
        proof_id = str(uuid.uuid4())
        start_s = self._now() + LEAD_READINGS * self._policy.reading_s
        await self._proofs.asked(
            proof_id,
            site_id=site_id,
            cable_id=cable.device_id,
            pattern=pattern,
            reason=reason,
            actor=actor,
            now_s=int(self._now()),
            expire_s=int(start_s + pattern[-1].end_s) + 1,
        )
        cable.ask_for_proof(proof_id, pattern, start_s=start_s)
        task = asyncio.ensure_future(self._play(cable, resource, pattern, start_s))
        self._playing.add(task)
        task.add_done_callback(self._playing.discard)
        log.info("proof.asked", site_id=site_id, proof_id=proof_id, plateaus=len(pattern))
        return proof_id, cable.device_id

    async def _who(self, site_id: SiteId) -> tuple[ProvingCable, ProvingResource, ProofLimits]:
        """The cable whose word is in question, of those that can prove now; else any of them."""
        cables = [cable for cable in self._cables() if cable.site_id == site_id]
        if not cables:
            raise NoCableConnected(f"no cable is connected at {site_id}")
        permitted = await self._permitted(site_id)
        in_question = await self._proofs.in_question(site_id)
        able = [
            cable
            for cable in cables
            if cable.can_prove
            and not cable.proving
            and permitted.get(cable.device_id) is Permission.BIDIRECTIONAL
        ]
        for cable in sorted(able, key=lambda each: _rank(each.device_id, in_question)):
            for resource in self._resources():
                state = resource.state() if resource.cable_id == cable.device_id else None
                limits = self._limits(state)
                if limits is not None:
                    return cable, resource, limits
        raise ProofNotPossible(
            "the site's meter gives no power readings, a proof is running, other blocks hold, or "
            "no vehicle that can be steered far enough hangs on the cable"
        )

    def _limits(self, state: ResourceState | None) -> ProofLimits | None:
        if state is None or not state.transfer_permitted:
            return None
        return proof_limits(state=state, reading_s=self._policy.reading_s, now_s=self._now())

    async def _play(
        self,
        cable: ProvingCable,
        resource: ProvingResource,
        pattern: Sequence[Plateau],
        start_s: float,
    ) -> None:
        """Steer the vehicle through the pattern; whatever happens, it is let go at the end."""
        cable.proving = True
        self._changed()
        try:
            resource.pinned_w = pattern[0].power_w
            for plateau in pattern:
                await self._sleep(start_s + plateau.start_s - self._now())
                resource.pinned_w = plateau.power_w
                resource.steer(plateau.power_w, lease_s=self._policy.lease_s, reason="ACTIVE_PROOF")
            await self._sleep(start_s + pattern[-1].end_s - self._now())
        finally:
            resource.pinned_w = None
            cable.proving = False
            self._changed()


def _rank(cable_id: str, in_question: Sequence[str]) -> int:
    return in_question.index(cable_id) if cable_id in in_question else len(in_question)
