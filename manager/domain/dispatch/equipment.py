"""Limits of the equipment above sites, from its loading and from what our resources do now.

Loading tells what flows through a transformer, ours included. What is not ours is taken to stay as
it is; ours may then grow until the limit is reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gridcord.metering.records import AssetLoading
from manager.domain.dispatch.allocation import AssetLimits
from manager.domain.dispatch.steering import Equipment
from manager.domain.dispatch.waterfill import Ints


def equipment(
    *,
    sites: Sequence[str],
    power_w: Ints,
    loadings: Mapping[str, Sequence[AssetLoading]],
    limit_percent: float,
) -> Equipment:
    """What each resource hangs on, and what that still takes.

    Of several pieces above a site the one with the least room counts. Rated VA are taken for W.

    Args:
        sites: Of each resource; empty for one whose site is not known.
        power_w: Of each resource now, W, + charging.
        loadings: Of the equipment above each site; without a rating it limits nothing here.
        limit_percent: Of its rating, what may flow through it in either direction.
    """
    chosen = {site: _tightest(loadings.get(site, ()), limit_percent) for site in set(sites)}
    known = {each.asset_id: each for each in chosen.values() if each is not None}
    index = {asset_id: number for number, asset_id in enumerate(sorted(known))}
    asset = np.array(
        [-1 if (found := chosen[site]) is None else index[found.asset_id] for site in sites],
        np.int64,
    )
    if not known:
        return Equipment.unknown(len(sites))
    ours_w = np.bincount(asset + 1, weights=power_w, minlength=len(index) + 1)[1:]
    flows_w, limits_w = (
        np.array([value(known[asset_id]) for asset_id in index])
        for value in (_flow_w, lambda each: _limit_w(each, limit_percent))
    )
    others_w = flows_w - ours_w
    return Equipment(
        asset=asset,
        limits=AssetLimits(
            import_w=np.maximum(limits_w - others_w, 0).astype(np.int64),
            export_w=np.maximum(limits_w + others_w, 0).astype(np.int64),
        ),
    )


def _tightest(loadings: Sequence[AssetLoading], limit_percent: float) -> AssetLoading | None:
    rated = [each for each in loadings if each.rated_va]
    if not rated:
        return None
    return min(
        rated, key=lambda each: (_limit_w(each, limit_percent) - abs(_flow_w(each)), each.asset_id)
    )


def _flow_w(loading: AssetLoading) -> float:
    return (loading.rated_va or 0) * loading.loading_percent / 100


def _limit_w(loading: AssetLoading, limit_percent: float) -> float:
    return (loading.rated_va or 0) * limit_percent / 100
