"""Reads market profiles from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import time
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridcord.units import Calendar, Money, Price
from market_adapter.domain.profile import (
    Clearing,
    DayTime,
    Gate,
    MarketProfile,
    MoneyRounding,
    ProfileError,
)

BUILT_IN = ("jepx.dayahead", "jepx.intraday", "generic")


def built_in_profile(name: str) -> MarketProfile:
    """A profile that comes with the adapter.

    Args:
        name: One of `BUILT_IN`.

    Raises:
        ProfileError: There is none of this name.
    """
    if name not in BUILT_IN:
        message = f"no profile {name!r}; there are {', '.join(BUILT_IN)}"
        raise ProfileError(message)
    return parse_profile(resources.files(__package__).joinpath(f"{name}.toml").read_text("utf-8"))


def read_profile(path: Path) -> MarketProfile:
    """A profile from a file.

    Raises:
        ProfileError: The file is no profile.
        OSError: The file cannot be read.
    """
    return parse_profile(path.read_text("utf-8"))


def parse_profile(text: str) -> MarketProfile:
    """A profile from TOML; every key is needed and no other is known.

    Raises:
        ProfileError: It is none.
    """
    try:
        return _profile(tomllib.loads(text))
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        message = f"no market profile: {error!r}"
        raise ProfileError(message) from error


def _profile(table: dict[str, Any]) -> MarketProfile:
    currency = str(table.pop("currency"))
    profile = MarketProfile(
        market_id=str(table.pop("market_id")),
        areas={str(k): str(v) for k, v in table.pop("areas").items()},
        calendar=_calendar(table.pop("time_zone"), table.pop("period_length_s")),
        clearing=Clearing(table.pop("clearing")),
        gate=_gate(table.pop("gate")),
        lot_wh=int(table.pop("lot_wh")),
        currency=currency,
        tick_micros_per_kwh=_micros_per_kwh(currency, table.pop("tick")),
        min_price_micros_per_kwh=_micros_per_kwh(currency, table.pop("min_price")),
        max_price_micros_per_kwh=_micros_per_kwh(currency, table.pop("max_price")),
        money_step_micros=Money.of(currency, str(table.pop("money_step"))).micros,
        money_rounding=MoneyRounding(table.pop("money_rounding")),
    )
    if table:
        message = f"unknown keys {sorted(table)}"
        raise ProfileError(message)
    return profile


def _calendar(zone: str, length_s: int) -> Calendar:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        message = f"no time zone {zone!r}"
        raise ProfileError(message) from None
    if length_s <= 0 or 3600 % length_s:
        message = f"a period length divides an hour: {length_s} s"
        raise ProfileError(message)
    return Calendar(zone=zone, length_s=length_s)


def _gate(table: Mapping[str, Any]) -> Gate:
    if unknown := set(table) - {"opens", "closes", "lead_s"}:
        message = f"unknown keys {sorted(unknown)} of a gate"
        raise ProfileError(message)
    return Gate(
        opens=_day_time(table.get("opens")),
        closes=_day_time(table.get("closes")),
        lead_s=table.get("lead_s"),
    )


def _day_time(table: Mapping[str, Any] | None) -> DayTime | None:
    if table is None:
        return None
    days, at = table["days_before"], table["at"]
    if not isinstance(at, time) or not isinstance(days, int) or days < 0 or len(table) != 2:
        message = f"a gate has days_before and a local time: {dict(table)}"
        raise ProfileError(message)
    return DayTime(days_before=days, at=at)


def _micros_per_kwh(currency: str, amount: object) -> int:
    return Price.per_kwh(currency, str(amount)).micros_per_kwh
