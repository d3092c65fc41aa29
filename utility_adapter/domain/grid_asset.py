"""Grid equipment above the sites: ratings, chains, and which direction of transfer harms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gridcord.metering.records import AssetLoading

MAX_CHAIN = 16  # equipment between a site and the bulk grid; more is a mistake in the register


class AssetRegisterError(ValueError):
    """The register of equipment contradicts itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridAsset:
    """A transformer, feeder or substation (patent: equipment information).

    Args:
        asset_id: Its name.
        kind: What it is, in the utility's words, such as "pole transformer".
        rated_va: Rating, VA, > 0.
        parent_id: The equipment that feeds it; None at the top.
        load_limit_percent: From this loading towards the sites on, charging harms; > 0.
        feed_limit_percent: From this loading towards the grid on, discharging harms; > 0.

    Raises:
        ValueError: A rating or a limit that is not positive.
    """

    asset_id: str
    kind: str
    rated_va: int
    parent_id: str | None = None
    load_limit_percent: float = 100.0
    feed_limit_percent: float = 100.0

    def __post_init__(self) -> None:
        limits = (self.load_limit_percent, self.feed_limit_percent)
        if self.rated_va <= 0 or not all(0 < limit < math.inf for limit in limits):
            message = f"rating and limits of {self.asset_id} must be positive"
            raise ValueError(message)

    @property
    def rated_kva(self) -> float:
        """Rating in kVA."""
        return self.rated_va / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """What the equipment above a site cannot bear now.

    Args:
        charge_harms: Some equipment is at its limit towards the sites.
        discharge_harms: Some equipment is at its limit towards the grid.
        because: The loadings at or over a limit, nearest equipment first.
        unknown: Equipment whose loading is not known; nothing is concluded from it.
    """

    charge_harms: bool
    discharge_harms: bool
    because: tuple[AssetLoading, ...]
    unknown: tuple[str, ...]


def chain(*, asset_id: str | None, assets: Mapping[str, GridAsset]) -> tuple[GridAsset, ...]:
    """The equipment above a site, nearest first; empty for a site without any.

    Raises:
        AssetRegisterError: A name that is not registered, or a chain that never ends.
    """
    above: list[GridAsset] = []
    while asset_id is not None:
        if asset_id not in assets:
            message = f"no equipment is registered as {asset_id!r}"
            raise AssetRegisterError(message)
        if len(above) == MAX_CHAIN:
            message = f"more than {MAX_CHAIN} pieces of equipment above {above[0].asset_id!r}"
            raise AssetRegisterError(message)
        above.append(assets[asset_id])
        asset_id = assets[asset_id].parent_id
    return tuple(above)


def restriction(*, above: Iterable[GridAsset], loadings: Mapping[str, AssetLoading]) -> Restriction:
    """Which direction of transfer would harm the equipment above a site.

    Discharging relieves equipment that is loaded towards the sites, and charging relieves
    equipment through which power flows to the grid, so each limit forbids one direction only.

    Args:
        above: The site's chain.
        loadings: The newest loading of each piece of equipment, percent, + towards the sites.
    """
    charge = discharge = False
    because: list[AssetLoading] = []
    unknown: list[str] = []
    for asset in above:
        loading = loadings.get(asset.asset_id)
        if loading is None:
            unknown.append(asset.asset_id)
            continue
        loaded = loading.loading_percent >= asset.load_limit_percent
        feeding = -loading.loading_percent >= asset.feed_limit_percent
        if loaded or feeding:
            because.append(loading)
        charge, discharge = charge or loaded, discharge or feeding
    return Restriction(
        charge_harms=charge,
        discharge_harms=discharge,
        because=tuple(because),
        unknown=tuple(unknown),
    )
