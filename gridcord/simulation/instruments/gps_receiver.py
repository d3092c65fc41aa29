"""A simulated GPS receiver: GGA, GSA and RMC each second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gridcord.chassis.clock import Clock
from gridcord.protocols import nmea
from gridcord.simulation.instruments.serial_instrument import SerialInstrument
from gridcord.simulation.instruments.source import PositionSource
from gridcord.units import Position

# A receiver whose week counter has rolled over tells a date so far back (1024 weeks).
_ROLLOVER_S = 1024 * 7 * 86_400


class GpsReceiver(SerialInstrument):
    """Talks on a serial port.

    Faults beside those of the line: `lost` keeps telling the position but marks it as no fix, as
    receivers do for a while; `at_zero` claims a valid fix at 0, 0; `rolled_over` tells a
    date 1024 weeks ago; `hdop` may be made bad; a source without position is "no fix".

    Args:
        source: Where it is.
        clock: Its idea of time.
        interval_s: Seconds of the clock between fixes.
        link: A stable name of its port.
    """

    def __init__(
        self,
        source: PositionSource,
        clock: Clock,
        *,
        interval_s: float = 1.0,
        link: Path | None = None,
    ) -> None:
        super().__init__(link)
        self.source = source
        self.clock = clock
        self.interval_s = interval_s
        self.hdop = 0.9
        self.lost = False
        self.at_zero = False
        self.rolled_over = False

    async def run(self) -> None:
        """Say where it is, again and again."""
        while True:
            self.line.write(nmea.encode(self.fix()))
            await self.clock.sleep(self.interval_s)

    def fix(self) -> nmea.Fix:
        """What it says now."""
        fix = nmea.Fix(
            at_s=self.clock.now(),
            position=self.source.position(),
            valid=not self.lost,
            hdop=self.hdop,
        )
        if self.at_zero:
            fix = replace(fix, position=Position(0.0, 0.0))
        if self.rolled_over:
            fix = replace(fix, at_s=fix.at_s - _ROLLOVER_S)
        return fix
