"""What may flow at a site now, and why not more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading
from manager.domain.trust.site_block import SiteBlock

_ORDER = list(Permission)  # from least to most

SITE_UNKNOWN = "SITE_UNKNOWN"
CLONE_SUSPECTED = "CLONE_SUSPECTED"
EQUIPMENT_LIMIT = "EQUIPMENT_LIMIT"
DEMAND_LIMIT = "DEMAND_LIMIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionPolicy:
    """What the aggregator decided once.

    Args:
        unidentified: What a cable may do that can read neither meter nor HEMS: nobody can match
            its energy, so it must not discharge.
        clone_suspected: What a cable may do that seems to exist twice.
        loading_limit_percent: From this loading of the equipment above a site on, in either
            direction, nothing flows that makes it worse (patent: equipment information).
        loading_release_percent: Below this it may again; lower than the limit, so that it does
            not flap.
        charge_to_percent: With CHARGE_TO_SOC: state of charge to stop at, in [0, 100].
    """

    unidentified: Permission = Permission.CHARGE_ONLY
    clone_suspected: Permission = Permission.CHARGE_ONLY
    loading_limit_percent: float = 100.0
    loading_release_percent: float = 95.0
    charge_to_percent: float = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What may flow.

    Args:
        permission: It.
        reason: Why not more, a stable code; empty when nothing is withheld.
        charge_to_percent: With CHARGE_TO_SOC: state of charge to stop at.
    """

    permission: Permission
    reason: str = ""
    charge_to_percent: float | None = None


def least(*granted: Granted) -> Granted:
    """The strictest; the first of equals, so that the gravest reason is named first."""
    return min(granted, key=lambda each: _ORDER.index(each.permission))


def permission(
    *,
    site_identified: bool,
    blocks: Sequence[SiteBlock],
    clone_suspected: bool,
    loadings: Sequence[AssetLoading],
    policy: PermissionPolicy,
    before: Granted | None = None,
) -> Granted:
    """What a cable may do at a site (patent S804 and the determination by equipment information).

    Args:
        site_identified: The cable reads the site's meter or HEMS.
        blocks: Of the site; those not in force do not count.
        clone_suspected: The cable seems to exist twice.
        loadings: Of the equipment above the site.
        policy: What the aggregator decided.
        before: What was granted until now, for the hysteresis of the loading.
    """
    limits = [Granted(permission=Permission.BIDIRECTIONAL)]
    limits += [_block_limit(block, policy) for block in blocks if block.in_force]
    if clone_suspected:
        limits.append(Granted(permission=policy.clone_suspected, reason=CLONE_SUSPECTED))
    if not site_identified:
        limits.append(Granted(permission=policy.unidentified, reason=SITE_UNKNOWN))
    held = before is not None and before.reason == EQUIPMENT_LIMIT
    limits += [_loading_limit(loading, policy, held=held) for loading in loadings]
    return least(*sorted(limits, key=lambda each: each.reason == ""))


def _block_limit(block: SiteBlock, policy: PermissionPolicy) -> Granted:
    to_soc = block.permission is Permission.CHARGE_TO_SOC
    return Granted(
        permission=block.permission,
        reason=block.cause.value,
        charge_to_percent=policy.charge_to_percent if to_soc else None,
    )


def _loading_limit(loading: AssetLoading, policy: PermissionPolicy, *, held: bool) -> Granted:
    limit = policy.loading_release_percent if held else policy.loading_limit_percent
    if loading.loading_percent >= limit:  # overloaded by consumption: charging adds to it
        return Granted(permission=Permission.NONE, reason=EQUIPMENT_LIMIT)
    if loading.loading_percent <= -limit:  # overloaded towards the grid: discharging adds to it
        return Granted(permission=Permission.CHARGE_ONLY, reason=EQUIPMENT_LIMIT)
    return Granted(permission=Permission.BIDIRECTIONAL)
