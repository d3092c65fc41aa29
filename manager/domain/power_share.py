"""Shares a power over resources: exact water-filling in whole watts.

Every resource gets the same power as far as its bounds allow (the level), so no order of resources
matters; the watts that do not divide go to the first ids. What cannot be served is a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Who does what.

    Args:
        powers_w: By resource, + charging.
        unserved_w: Target less what the resources do; 0 when it is met.
    """

    powers_w: Mapping[str, int]
    unserved_w: int


def share(*, target_w: int, bounds_w: Mapping[str, tuple[int, int]]) -> Share:
    """Share a target.

    Args:
        target_w: Sum wanted, + charging.
        bounds_w: Least and most power of each resource, W; least <= most.

    Returns:
        Powers within the bounds whose sum is as near to the target as the bounds allow.
    """
    least = sum(low for low, _ in bounds_w.values())
    most = sum(high for _, high in bounds_w.values())
    reachable = max(least, min(most, target_w))
    level = _level(reachable, bounds_w)
    powers = {name: max(low, min(high, level)) for name, (low, high) in bounds_w.items()}
    missing = reachable - sum(powers.values())
    for name in sorted(bounds_w):
        if missing == 0:
            break
        if powers[name] == level and level < bounds_w[name][1]:
            powers[name] += 1
            missing -= 1
    return Share(powers_w=powers, unserved_w=target_w - sum(powers.values()))


def _level(target_w: int, bounds_w: Mapping[str, tuple[int, int]]) -> int:
    """The highest whole level at which the clamped powers do not exceed the target."""
    if not bounds_w:
        return 0
    low = min(least for least, _ in bounds_w.values())
    high = max(most for _, most in bounds_w.values())
    while low < high:
        middle = (low + high + 1) // 2
        if sum(max(a, min(b, middle)) for a, b in bounds_w.values()) <= target_w:
            low = middle
        else:
            high = middle - 1
    return low
