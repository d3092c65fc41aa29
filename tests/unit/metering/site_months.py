"""A month of one simulated home with a cable: honest, or in one of the ways it can be dishonest."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gridcord.metering.matcher import Matcher, learn, observe, open_matcher
from gridcord.metering.matching import (
    Finding,
    HemsCoverage,
    Match,
    MatchPolicy,
    MeteredSite,
    SitePeriod,
)
from gridcord.simulation.load_profile import half_hourly_profile
from gridcord.units import Period

HISTORY_DAYS = 21
JUDGED_DAYS = 21
DISCHARGE_WH = 750
FIRST_DAY_S = 1_700_006_400 // 86_400 * 86_400
POLICY = MatchPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """History to learn from and periods to judge."""

    history: list[SitePeriod]
    judged: list[SitePeriod]

    def learned(self, site: MeteredSite) -> Matcher:
        return learn(
            matcher=open_matcher(site=site, policy=POLICY), history=self.history, policy=POLICY
        )

    def matches(self, site: MeteredSite) -> list[Match]:
        matcher, out = self.learned(site), list[Match]()
        for observation in self.judged:
            matcher, match = observe(matcher=matcher, observation=observation, policy=POLICY)
            out.append(match)
        return out

    def until(self, site: MeteredSite, finding: Finding) -> tuple[Matcher, Match]:
        """State and match of the first period with a finding."""
        matcher = self.learned(site)
        for observation in self.judged:
            matcher, match = observe(matcher=matcher, observation=observation, policy=POLICY)
            if match.finding is finding:
                return matcher, match
        message = f"never {finding}"
        raise AssertionError(message)


def findings(site: MeteredSite, month: Month) -> list[Finding]:
    return [match.finding for match in month.matches(site)]


def month_of(
    site: MeteredSite,
    *,
    seed: int,
    arrives: float = 1.0,
    charge_arrives: float = 1.0,
    late: int = 0,
    reads: float = 1.0,
    host: float = 0.0,
    forged: bool = False,
) -> Month:
    """A simulated month.

    Args:
        site: Its instruments.
        seed: Home and habits.
        arrives: Share of a discharge that reaches the meter.
        charge_arrives: Share of a charge that does.
        late: The meter's periods are late (+) or early (-) by so many.
        reads: Share of an import that the meter counts once there are sessions.
        host: Share of a discharge that the host consumes on top of his own.
        forged: The HEMS reports stolen energy as consumption.
    """
    rng = Random(f"month {seed}")
    split = site.length_s / 1800
    load = half_hourly_profile(seed=seed + 500, days=HISTORY_DAYS + JUDGED_DAYS)
    if split < 1:
        load = [wh // 2 for wh in load for _ in range(2)]
    per_day = 86_400 // site.length_s
    start = HISTORY_DAYS * per_day
    cable, sessions = _transfers(rng, len(load), start, per_day, DISCHARGE_WH * split)
    seen = [w * (arrives if w < 0 else charge_arrives) for w in cable]
    seen = [seen[max(0, min(len(seen) - 1, n - late))] for n in range(len(seen))]
    periods = []
    registers = _Registers(rng, site.step_wh)
    for n, own in enumerate(load):
        extra = -host * min(0.0, cable[n])
        net = own + extra + seen[n]
        if n >= start and net > 0:
            net *= reads
        hems_wh = own + extra + (seen[n] - cable[n] if forged else 0.0)
        if site.hems is HemsCoverage.PARTIAL:
            hems_wh *= 0.7
        import_wh, export_wh = registers.count(net)
        periods.append(
            SitePeriod(
                period=Period(FIRST_DAY_S + n * site.length_s, site.length_s),
                transferred_wh=round(cable[n]),
                import_wh=import_wh,
                export_wh=export_wh if site.has_export else None,
                consumption_wh=None if site.hems is HemsCoverage.NONE else round(hems_wh),
                session=sessions[n],
            )
        )
    return Month(history=periods[:start], judged=periods[start:])


def observations(site: MeteredSite, *, seed: int) -> Month:
    """An honest month."""
    return month_of(site, seed=seed)


class _Registers:
    """Two truncating registers."""

    def __init__(self, rng: Random, step_wh: int) -> None:
        self._step, self._totals = step_wh, [rng.uniform(0, step_wh), rng.uniform(0, step_wh)]

    def count(self, net_wh: float) -> tuple[int, int]:
        counts = []
        for k, wh in enumerate((max(0.0, net_wh), max(0.0, -net_wh))):
            before = int(self._totals[k] // self._step)
            self._totals[k] += wh
            counts.append((int(self._totals[k] // self._step) - before) * self._step)
        return counts[0], counts[1]


def _transfers(
    rng: Random, count: int, start: int, per_day: int, pulse_wh: float
) -> tuple[list[float], list[int | None]]:
    """Evening discharges and night charges on three days of four, 97 % of it to the meter."""
    cable, sessions = [0.0] * count, list[int | None]([None] * count)
    for day in range(start // per_day, count // per_day):
        if rng.random() < 0.25:
            continue
        hours = per_day / 24
        begin, blocks = rng.uniform(17, 18.5), rng.randrange(4, 9)
        first = day * per_day + int(begin * hours)
        last = min(count, first + int(13 * hours))
        for n in range(first, last):
            sessions[n] = day
        for n in range(first, min(count, first + int(blocks / 2 * hours))):
            cable[n] = -pulse_wh if rng.random() < 0.85 else 0.0
        night = day * per_day + int((24 + rng.uniform(1, 3)) * hours)
        for n in range(night, min(last, night + int(blocks / 2 * hours))):
            cable[n] = pulse_wh
    return cable, sessions
