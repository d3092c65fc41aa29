"""A simulated house: load, outlet, smart meter, energy manager; honest or not.

The physics is integrated second by second: load from the household model, power through the cable
from the vehicle. Every instrument of the house reads registers of this one model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gridcord.simulation.load_profile import second_profile
from gridcord.simulation.vehicle import Vehicle
from gridcord.units import Position

JOULES_PER_WH = 3600
REMEMBERED_S = 7_200  # how far back a meter can be asked for its registers
_BLOCK_S = 3_600  # of load, computed at once


class Cheat(StrEnum):
    """What is wrong at a house."""

    NONE = "NONE"
    DIVERTED = "DIVERTED"  # what the vehicle gives leaves before the meter
    OTHER_METER = "OTHER_METER"  # the cable is shown the meter of another house
    WRONG_PLACE = "WRONG_PLACE"  # the cable is not where the site is registered


class Register:
    """A cumulative register in joules, with a short memory; reads whole watt-hours."""

    def __init__(self, start_wh: int = 0) -> None:
        self._joules = start_wh * JOULES_PER_WH
        self._memory: deque[tuple[int, int]] = deque(maxlen=REMEMBERED_S)

    def add(self, at_s: int, joules: int) -> None:
        """Count what flowed in the second that ends at `at_s`."""
        self._joules += joules
        self._memory.append((at_s, self._joules))

    def wh(self, at_s: float | None = None) -> int:
        """Whole watt-hours now, or at an instant shortly before."""
        if at_s is None:
            return self._joules // JOULES_PER_WH
        for stamp, joules in reversed(self._memory):
            if stamp <= at_s:
                return joules // JOULES_PER_WH
        return (self._memory[0][1] if self._memory else self._joules) // JOULES_PER_WH


class Counted:
    """A `RegisterSource`: two registers and a power of the house's model."""

    def __init__(self, advance: Callable[[], None], start_wh: int = 0) -> None:
        self._advance = advance
        self.imported = Register(start_wh)
        self.exported = Register(start_wh // 3)
        self.watts = 0

    def count(self, at_s: int, power_w: int) -> None:
        """One second of a power, + import."""
        self.watts = power_w
        self.imported.add(at_s, max(0, power_w))
        self.exported.add(at_s, max(0, -power_w))

    def import_wh(self, at_s: float | None = None) -> int:
        """Energy towards the site (or the vehicle), Wh."""
        self._advance()
        return self.imported.wh(at_s)

    def export_wh(self, at_s: float | None = None) -> int:
        """Energy the other way, Wh."""
        self._advance()
        return self.exported.wh(at_s)

    def power_w(self) -> int:
        """Power now, W."""
        self._advance()
        return self.watts


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseModel:
    """What is fixed about a house.

    Args:
        number: From 0.
        site_id: Identity of its metering point.
        registered: Where the utility has it.
        load_seed: Which household lives there.
        cheat: What is wrong there.
        day_start_s: A midnight of the household's local day, seconds since 1970 UTC.
    """

    number: int
    site_id: str
    registered: Position
    load_seed: int
    cheat: Cheat
    day_start_s: int


class House:
    """A house that lives on a clock.

    Args:
        model: What is fixed.
        vehicle: The one that parks here.
        now: The clock, seconds since 1970 UTC.
    """

    def __init__(self, model: HouseModel, vehicle: Vehicle, now: Callable[[], float]) -> None:
        self.model = model
        self.vehicle = vehicle
        self.contactor_closed: Callable[[], bool] = lambda: False
        self.plugged = False
        self._now = now
        self._at_s = int(now())
        self._loads: list[int] = []
        self._loads_from_s = 0
        self.meter = Counted(self.advance, start_wh=1_000_000 + 7_919 * model.number)
        self.cable = Counted(self.advance)
        self.appliances = Counted(self.advance, start_wh=500_000)

    def connected(self) -> bool:
        """A vehicle is plugged in (`PlugSource`)."""
        return self.plugged

    def ready(self) -> bool:
        """It asks for the contactor to close (`PlugSource`)."""
        return self.plugged

    def position(self) -> Position:
        """Where the cable really is (`PositionSource`)."""
        place = self.model.registered
        if self.model.cheat in (Cheat.WRONG_PLACE, Cheat.OTHER_METER):
            return Position(place.latitude_deg + 0.05, place.longitude_deg + 0.03)
        return place

    def advance(self) -> None:
        """Live up to now, second by second; called before anybody looks."""
        now_s = int(self._now())
        if now_s <= self._at_s:
            return
        closed = self.plugged and self.contactor_closed()
        for at_s in range(self._at_s + 1, now_s + 1):
            power_w = self.vehicle.power_w(closed=closed)
            self.vehicle.flow(power_w=power_w, seconds=1)
            load_w = self._load_w(at_s)
            self.cable.count(at_s, power_w)
            self.appliances.count(at_s, load_w)
            self.meter.count(at_s, load_w + self._seen_w(power_w))
        self._at_s = now_s

    def _seen_w(self, power_w: int) -> int:
        """What of the cable's power passes the meter."""
        return max(0, power_w) if self.model.cheat is Cheat.DIVERTED else power_w

    def _load_w(self, at_s: int) -> int:
        index = at_s - self._loads_from_s
        if not 0 <= index < len(self._loads):
            since = at_s - self.model.day_start_s
            begin = since - since % _BLOCK_S
            self._loads = second_profile(seed=self.model.load_seed, start_s=begin, seconds=_BLOCK_S)
            self._loads_from_s = self.model.day_start_s + begin
            index = at_s - self._loads_from_s
        return self._loads[index]
