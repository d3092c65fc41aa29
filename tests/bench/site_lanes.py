"""A month at a site with a cable, minute by minute: honest, and in every way it may be dishonest.

The house is `gridcord.simulation.load_profile` (or given half hours), the meter two truncating
registers, the cable a meter with its own gain and clock. Nothing here knows how the matcher works.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from gridcord.metering.matching import HemsCoverage, MeteredSite, SitePeriod
from gridcord.simulation.load_profile import interval_joules
from gridcord.units import Period

SLOT_S = 1800
SLOTS = 48
JUDGED_DAYS = 30
FIRST_S = 1_735_689_600  # 2025-01-01, only a label
Series = npt.NDArray[np.float64]
House = Mapping[str, Series]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Instruments and habits of a site.

    Args:
        step_wh: Register step.
        has_export: It has an export register.
        hems: What the HEMS sees; PARTIAL sees the appliances above 60 % of a home's load.
        pv: A roof of 2 to 5.5 kW.
        history_days: Days before the first session that the meter still knows.
        outlet_w: What the outlet gives.
        gaps: Share of readings missing.
        every_evening: The same discharge every evening.
        added_wh: New load of the host each evening half hour after the first session.
    """

    step_wh: int = 1
    has_export: bool = True
    hems: HemsCoverage = HemsCoverage.NONE
    pv: bool = False
    history_days: int = 28
    outlet_w: int = 1500
    gaps: float = 0.0
    every_evening: bool = False
    added_wh: float = 0.0

    @property
    def site(self) -> MeteredSite:
        """The same as the matcher knows it."""
        return MeteredSite(
            step_wh=self.step_wh,
            has_export=self.has_export,
            hems=self.hems,
            hems_step_wh=1 if self.hems is HemsCoverage.NONE else 10,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adversary:
    """What is not as the records say.

    Args:
        stolen: Share of a discharge that does not reach the meter.
        other_meter: The readings are those of another house.
        host: Share of a discharge that the host consumes on top (honest!).
        reads_low: Share of an import that the meter no longer counts.
        late: The meter's periods are late (+) or early (-) by so many.
        forged_cable: The cable reports a constant discharge that never was.
        forged_hems: The HEMS reports what was stolen as consumption.
        ramp: Theft grows from nothing to `stolen` over the month.
        every_other: Theft on half of the evenings.
    """

    stolen: float = 0.0
    other_meter: bool = False
    host: float = 0.0
    reads_low: float = 0.0
    late: int = 0
    forged_cable: bool = False
    forged_hems: bool = False
    ramp: bool = False
    every_other: bool = False


ADVERSARIES: Mapping[str, Adversary] = MappingProxyType(
    {
        "honest": Adversary(),
        "full theft": Adversary(stolen=1.0),
        "half theft": Adversary(stolen=0.5),
        "quarter theft": Adversary(stolen=0.25),
        "tenth theft": Adversary(stolen=0.1),
        "theft that ramps up": Adversary(stolen=1.0, ramp=True),
        "theft every other evening": Adversary(stolen=1.0, every_other=True),
        "wrong meter": Adversary(other_meter=True),
        "forged cable values": Adversary(forged_cable=True),
        "forged HEMS, full theft": Adversary(stolen=1.0, forged_hems=True),
        "host cooks half of it": Adversary(host=0.5),
        "host cooks all of it": Adversary(host=1.0),
        "meter reads 30 % low": Adversary(reads_low=0.3),
        "meter reads 50 % low": Adversary(reads_low=0.5),
        "clock late by a period": Adversary(late=1),
        "clock early by a period": Adversary(late=-1),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One site and month as the matcher gets it, and what was stolen of each judged period."""

    setting: Setting
    history: list[SitePeriod]
    judged: list[SitePeriod]
    stolen_wh: Series = field(repr=False)


def simulated_house(seed: int, days: int) -> Series:
    """Wh of each minute of a simulated home."""
    return np.array(interval_joules(seed=seed, days=days, interval_s=60)) / 3600


def lane(
    *, setting: Setting, adversary: Adversary, house: Series, other: Series, seed: int
) -> Lane:
    """Simulate one month.

    Args:
        setting: Instruments and habits.
        adversary: What is not as it seems.
        house: Wh per minute, or per half hour, of history and month.
        other: The same of another house.
        seed: Everything that is drawn.
    """
    r = np.random.default_rng([seed, 4242])
    slots = (setting.history_days + JUDGED_DAYS) * SLOTS
    per_slot = 30 if len(house) >= slots * 30 else 1
    count = slots * per_slot
    start = setting.history_days * SLOTS * per_slot
    house, other = house[-count:].copy(), other[-count:].copy()
    if setting.pv:
        house -= _roof(r, count, per_slot)
        other -= _roof(r, count, per_slot)
    evening = (np.arange(count) // per_slot % SLOTS >= 34) & (np.arange(count) >= start)
    house += np.where(evening, setting.added_wh / per_slot, 0.0)
    cable, sessions = _transfers(r, setting, slots, per_slot)
    stolen = _stolen(adversary, cable, start, per_slot)
    seen = _shifted(cable * (1 + np.sign(cable) * r.uniform(0, 0.04)), adversary.late * per_slot)
    own = house - adversary.host * np.minimum(cable, 0)
    net = own + seen * _arriving(stolen, cable)
    if adversary.other_meter:
        net, own, stolen = other, other, -np.minimum(cable, 0)
    if adversary.forged_cable:
        net, stolen = own, np.where(np.repeat(sessions >= 0, per_slot), setting.outlet_w / 2, 0.0)
        cable = -stolen / per_slot
        stolen = -cable
    low = np.where((net > 0) & (np.arange(count) >= start), 1 - adversary.reads_low, 1.0)
    reported = cable * (1 + r.normal(0, 0.01))
    hems = own + (stolen if adversary.forged_hems else 0.0)
    return _lane(r, setting, net * low, reported, hems, stolen, sessions, per_slot)


def _arriving(stolen: Series, cable: Series) -> Series:
    return 1.0 - np.divide(stolen, -cable, out=np.zeros_like(cable), where=cable < 0)


def _stolen(adversary: Adversary, cable: Series, start: int, per_slot: int) -> Series:
    share = np.full(len(cable), adversary.stolen)
    if adversary.ramp:
        share *= np.clip((np.arange(len(cable)) - start) / (len(cable) - start), 0, 1)
    if adversary.every_other:
        share *= (np.arange(len(cable)) // (SLOTS * per_slot)) % 2
    return share * -np.minimum(cable, 0)


def _shifted(series: Series, by: int) -> Series:
    if by == 0:
        return series
    filler = np.zeros(abs(by))
    return np.concatenate((filler, series[:-by]) if by > 0 else (series[-by:], filler))


def _roof(r: np.random.Generator, count: int, per_slot: int) -> Series:
    """Wh of a roof: a bell over the day, cloudy days, broken clouds."""
    hour = np.arange(count) / per_slot / 2 % 24
    bell = np.where((hour > 6) & (hour < 19), np.sin((hour - 6) / 13 * np.pi), 0.0)
    days = -(-count // (SLOTS * per_slot))
    sky = np.repeat(r.beta(2, 1.2, days), SLOTS * per_slot)[:count]
    clouds = np.repeat(np.clip(1 + 0.3 * r.standard_normal(days * SLOTS * 3), 0.1, 1.3), 1)
    clouds = np.interp(np.arange(count), np.arange(len(clouds)) * per_slot / 3, clouds)
    return np.asarray(
        r.uniform(2000, 5500) * 0.85 * bell * np.clip(sky, 0.1, 1) * clouds / 2 / per_slot,
        dtype=np.float64,
    )


def _transfers(
    r: np.random.Generator, setting: Setting, slots: int, per_slot: int
) -> tuple[Series, npt.NDArray[np.int64]]:
    """Wh through the cable (per minute), and the session of each half hour (-1: none)."""
    cable = np.zeros(slots * per_slot)
    sessions = np.full(slots, -1)
    presence = 1.0 if setting.every_evening else r.uniform(0.4, 0.95)
    first_day = setting.history_days
    for day in range(first_day, slots // SLOTS):
        if r.random() >= presence:
            continue
        begin = 33.0 if setting.every_evening else 2 * float(np.clip(r.normal(17.3, 2.6), 6, 23.5))
        length = (
            30.0 if setting.every_evening else 2 * float(np.clip(r.lognormal(2.35, 0.45), 1, 40))
        )
        a, b = day * SLOTS + begin, min(day * SLOTS + begin + length, float(slots))
        for slot in range(int(a), int(np.ceil(b))):
            sessions[slot] = day
        wanted = _wanted(r, setting)
        level = setting.outlet_w / 2 * (1.0 if r.random() < 0.9 else r.uniform(0.5, 0.95))
        inside = np.arange(int(a * per_slot), min(int(b * per_slot), len(cable)))
        cable[inside] = level / per_slot * wanted[inside // per_slot % SLOTS]
    return cable, sessions


def _wanted(r: np.random.Generator, setting: Setting) -> Series:
    """What the market wants of a day: discharge from 17 to 21, charge at night or midday."""
    wanted = np.zeros(SLOTS)
    if setting.every_evening:
        wanted[34:42] = -1
    else:
        blocks = int(r.integers(3, 9))
        at = int(r.integers(34, 43 - blocks)) + np.arange(blocks)
        wanted[at if r.random() < 0.6 else 34 + r.permutation(8)[:blocks]] = -1
    blocks = int(r.integers(3, 9))
    wanted[int(r.integers(2, 11 - blocks)) + np.arange(blocks)] = 1
    if r.random() < 0.25:
        wanted[int(r.integers(20, 24)) + np.arange(int(r.integers(2, 6)))] = 1
    return wanted


def _lane(
    r: np.random.Generator,
    setting: Setting,
    net: Series,
    reported: Series,
    hems: Series,
    stolen: Series,
    sessions: npt.NDArray[np.int64],
    per_slot: int,
) -> Lane:
    skew = float(np.clip(r.normal(0, 10), -30, 30)) / SLOT_S * per_slot
    imports = _counted(r, np.maximum(net, 0), setting.step_wh, per_slot, skew)
    exports = _counted(r, np.maximum(-net, 0), setting.step_wh, per_slot, skew)
    total = np.cumsum(reported)[per_slot - 1 :: per_slot]
    cable = np.diff(np.round(np.r_[0.0, total])).astype(np.float64)
    seen = {HemsCoverage.PARTIAL: 0.6}.get(setting.hems, 1.0) * hems * (1 + r.normal(0, 0.02))
    consumption = _counted(r, np.maximum(seen, 0), 10, per_slot, 0.0)
    missing = r.random(len(cable)) < setting.gaps
    periods = list(_periods(setting, imports, exports, cable, consumption, sessions, missing))
    start = setting.history_days * SLOTS
    lost = np.add.reduceat(stolen, np.arange(0, len(stolen), per_slot))
    return Lane(
        setting=setting, history=periods[:start], judged=periods[start:], stolen_wh=lost[start:]
    )


def _counted(
    r: np.random.Generator, flow: Series, step_wh: int, per_slot: int, skew: float
) -> Series:
    """What a truncating register counts in each half hour, its boundaries off by `skew`."""
    register = np.r_[0.0, np.cumsum(flow)] + r.uniform(0, step_wh)
    edges = np.arange(0, len(flow) + 1, per_slot) + skew
    counts = np.floor(np.interp(edges, np.arange(len(register)), register) / step_wh)
    return np.asarray(np.diff(counts) * step_wh, dtype=np.float64)


def _periods(
    setting: Setting,
    imports: Series,
    exports: Series,
    cable: Series,
    consumption: Series,
    sessions: npt.NDArray[np.int64],
    missing: npt.NDArray[np.bool_],
) -> Iterator[SitePeriod]:
    known = setting.hems is not HemsCoverage.NONE
    for n in range(len(cable)):
        gone = bool(missing[n])
        yield SitePeriod(
            period=Period(FIRST_S + n * SLOT_S),
            transferred_wh=int(cable[n]),
            import_wh=None if gone else int(imports[n]),
            export_wh=int(exports[n]) if setting.has_export and not gone else None,
            consumption_wh=int(consumption[n]) if known and not gone else None,
            session=int(sessions[n]) if sessions[n] >= 0 else None,
        )
