"""What a simulated instrument measures: small interfaces that a simulated house implements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gridcord.units import Position


class RegisterSource(Protocol):
    """Counts energy in both directions."""

    def import_wh(self, at_s: float | None = None) -> int:
        """Cumulative energy towards the site (through a cable: towards the vehicle), Wh.

        Args:
            at_s: At an instant shortly before now, seconds since 1970 UTC; None = now. A meter
                that wakes a moment after a half hour asks for the half hour.
        """
        ...

    def export_wh(self, at_s: float | None = None) -> int:
        """Cumulative energy the other way, Wh."""
        ...

    def power_w(self) -> int:
        """Power now, + = towards the site (through a cable: towards the vehicle), W."""
        ...


class PositionSource(Protocol):
    """Knows where a receiver is."""

    def position(self) -> Position | None:
        """Where; None where there is no reception."""
        ...


class PlugSource(Protocol):
    """The vehicle's side of a plug."""

    def connected(self) -> bool:
        """A vehicle is plugged in."""
        ...

    def ready(self) -> bool:
        """It asks for the contactor to close (state C of IEC 61851-1)."""
        ...


@dataclass(slots=True)
class SettableRegisters:
    """A `RegisterSource` that shows what it was told.

    Args:
        imported_wh: Wh.
        exported_wh: Wh.
        watts: W, + = import.
    """

    imported_wh: int = 0
    exported_wh: int = 0
    watts: int = 0

    def import_wh(self, at_s: float | None = None) -> int:
        """Energy towards the site, Wh."""
        return self.imported_wh

    def export_wh(self, at_s: float | None = None) -> int:
        """Energy the other way, Wh."""
        return self.exported_wh

    def power_w(self) -> int:
        """Power now, W."""
        return self.watts

    def flow(self, *, power_w: int, seconds: float) -> None:
        """Let a power flow for a time; the registers count whole watt-hours."""
        energy_wh = round(abs(power_w) * seconds / 3600)
        if power_w >= 0:
            self.imported_wh += energy_wh
        else:
            self.exported_wh += energy_wh
        self.watts = power_w


@dataclass(slots=True)
class SettablePosition:
    """A `PositionSource` that shows what it was told.

    Args:
        place: Where; None = no reception.
    """

    place: Position | None = None

    def position(self) -> Position | None:
        """Where."""
        return self.place


@dataclass(slots=True)
class SettablePlug:
    """A `PlugSource` that shows what it was told.

    Args:
        is_connected: A vehicle is plugged in.
        is_ready: It asks for current.
    """

    is_connected: bool = True
    is_ready: bool = True

    def connected(self) -> bool:
        """A vehicle is plugged in."""
        return self.is_connected

    def ready(self) -> bool:
        """It asks for current."""
        return self.is_ready
