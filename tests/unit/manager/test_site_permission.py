"""What hangs on no cable may do what its site may do, from the moment a block is in force."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from gridcord.metering.reading import Permission
from gridcord.metering.records import AssetLoading
from gridcord.units import SiteId
from manager.domain.trust.permission import PermissionPolicy
from manager.domain.trust.site_block import BlockCause, SiteBlock
from manager.ports import SiteSituation, StoreUnavailable
from manager.usecases.permit import SITE_NOT_LOOKED_AT, LeasePolicy, Permits

SITE = SiteId("obis:4530303033")
OTHER = SiteId("obis:4530303034")
NOW_S = 1_800_000_000.0


def block(permission: Permission, *, cable_id: str = "") -> SiteBlock:
    return SiteBlock(
        site_id=SITE,
        cable_id=cable_id,
        permission=permission,
        cause=BlockCause.OPERATOR,
        reason="why",
        create_s=0,
        created_by="operator",
    )


def loading(percent: float) -> AssetLoading:
    return AssetLoading(asset_id="transformer", loading_percent=percent, measured_s=NOW_S)


@dataclass
class Town:
    """One process of the manager with a battery on no cable; its store and its clock."""

    blocks: list[SiteBlock] = field(default_factory=list)
    loadings: list[AssetLoading] = field(default_factory=list)
    sites: set[str] = field(default_factory=lambda: {str(SITE)})
    now_s: float = NOW_S
    broken: bool = False
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def situation(self, site_ids: Sequence[str]) -> SiteSituation:
        self.looked.set()
        if self.broken:
            raise StoreUnavailable
        assert set(site_ids) == self.sites
        return SiteSituation(blocks={SITE: self.blocks}, loadings={SITE: self.loadings})

    async def forever(self, _seconds: float) -> None:
        await asyncio.Event().wait()

    def permits(self) -> Permits:
        return Permits(
            rules=self,
            policy=PermissionPolicy(),
            leases=LeasePolicy(lease_s=90.0),
            now=lambda: self.now_s,
            sleep=self.forever,
            sessions=list,
            sites=lambda: self.sites,
        )


async def looked(town: Town, permits: Permits) -> None:
    """The next look has been taken; no timer ever fires here, so only a wake-up can cause it."""
    town.looked.clear()
    permits.look_now()
    await town.looked.wait()
    for _ in range(3):
        await asyncio.sleep(0)


def test_blocks_and_equipment_limit_it_at_the_next_look() -> None:
    async def scenario() -> None:
        town = Town(sites={str(SITE), str(OTHER)})
        permits = town.permits()
        assert permits.at_site(SITE).permission is Permission.NONE
        assert permits.at_site(SITE).reason == SITE_NOT_LOOKED_AT
        running = asyncio.ensure_future(permits.run())
        await looked(town, permits)
        assert permits.at_site(SITE).permission is Permission.BIDIRECTIONAL
        for permission in (Permission.NONE, Permission.CHARGE_ONLY, Permission.CHARGE_TO_SOC):
            town.blocks = [block(permission)]
            await looked(town, permits)
            granted = permits.at_site(SITE)
            assert (granted.permission, granted.reason) == (permission, "OPERATOR")
            to_soc = permission is Permission.CHARGE_TO_SOC
            assert granted.charge_to_percent == (50.0 if to_soc else None)
            assert permits.at_site(OTHER).permission is Permission.BIDIRECTIONAL
        town.blocks = [block(Permission.NONE, cable_id="cable-1")]  # not the battery's fault
        await looked(town, permits)
        assert permits.at_site(SITE).permission is Permission.BIDIRECTIONAL
        town.blocks, told = [], []
        for percent in (0.0, -120.0, -97.0, -90.0, 120.0):  # released below 95 %, not before
            town.loadings = [loading(percent)]
            await looked(town, permits)
            told.append(permits.at_site(SITE).permission.name)
        assert told == ["BIDIRECTIONAL", "CHARGE_ONLY", "CHARGE_ONLY", "BIDIRECTIONAL", "NONE"]
        running.cancel()

    asyncio.run(scenario())


def test_a_look_that_is_older_than_a_lease_permits_nothing() -> None:
    async def scenario() -> None:
        town = Town()
        permits = town.permits()
        running = asyncio.ensure_future(permits.run())
        await looked(town, permits)
        town.broken = True
        town.now_s += 89.0
        await looked(town, permits)
        assert permits.at_site(SITE).permission is Permission.BIDIRECTIONAL
        town.now_s += 1.0
        assert permits.at_site(SITE).reason == SITE_NOT_LOOKED_AT
        town.broken = False
        await looked(town, permits)
        assert permits.at_site(SITE).permission is Permission.BIDIRECTIONAL
        running.cancel()

    asyncio.run(scenario())
