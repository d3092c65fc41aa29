"""Blocks: limits on what may flow at one site, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridcord.metering.reading import Permission
from gridcord.units import SiteId


class BlockCause(StrEnum):
    """Why a site is blocked."""

    METER_MISMATCH = "METER_MISMATCH"  # the meter did not see what the cable measured
    LOCATION_MISMATCH = "LOCATION_MISMATCH"  # the cable was not where the site is registered
    OPERATOR = "OPERATOR"  # a person decided it
    READINGS_DIFFER = "READINGS_DIFFER"  # the house's own values are not the utility's
    PROOF_FAILED = "PROOF_FAILED"  # an active proof failed
    CLONE_SUSPECTED = "CLONE_SUSPECTED"  # one cable seems to exist twice


class BlockState(StrEnum):
    """Where a block stands."""

    ACTIVE = "ACTIVE"
    APPEALED = "APPEALED"  # in force; an active proof was asked for
    LIFTED = "LIFTED"
    EXPIRED = "EXPIRED"


IN_FORCE = (BlockState.ACTIVE, BlockState.APPEALED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteBlock:
    """A limit on what may flow at one site, or through one cable there.

    Patent: non-permission information.

    Args:
        number: Rises with each block; 0 before it is stored.
        site_id: The site.
        permission: What may still flow; not BIDIRECTIONAL.
        cause: Why.
        cable_id: The only cable that it limits there; empty for all of the site.
        reason: Why, for a person: the evidence in a sentence, or the operator's words.
        state: Where it stands.
        evidence: What it rests on: entries as "cable/epoch/sequence", proofs as "proof/<id>".
        create_s: Since when, seconds since 1970 UTC.
        created_by: An operator's id, or "manager".
        expire_s: Runs out by itself then; None for never.
        review_s: To be looked at again by then; None for never.
        lift_s: Until when; None while in force.
        lifted_by: Who lifted it.
        lift_reason: Why it was lifted.
        request_id: The request that made it, for one made by a person.
        doubt_s: Of a block about a cable's place: from when on its word is doubted, seconds since
            1970 UTC; None for any other.
    """

    number: int = 0
    site_id: SiteId
    permission: Permission
    cause: BlockCause
    cable_id: str = ""
    reason: str
    state: BlockState = BlockState.ACTIVE
    evidence: tuple[str, ...] = ()
    create_s: int
    created_by: str
    expire_s: int | None = None
    review_s: int | None = None
    lift_s: int | None = None
    lifted_by: str | None = None
    lift_reason: str | None = None
    request_id: str | None = None
    doubt_s: int | None = None

    @property
    def in_force(self) -> bool:
        """Whether it limits what may flow."""
        return self.state in IN_FORCE

    def concerns(self, cable_id: str) -> bool:
        """Whether it is about a cable at its site; about the site as a whole with an empty id."""
        return self.cable_id in ("", cable_id)
