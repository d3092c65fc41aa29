"""A simulated smart meter with a P1 port: a telegram each second, whether anyone listens or not."""

from __future__ import annotations

from pathlib import Path

from gridcord.chassis.clock import Clock
from gridcord.protocols.p1 import Telegram
from gridcord.simulation.instruments.serial_instrument import SerialInstrument
from gridcord.simulation.instruments.source import RegisterSource


class P1Meter(SerialInstrument):
    """Talks on a serial port.

    Faults beside those of the line: `offset_import_wh` and `offset_export_wh` make a register
    jump; `equipment_id` may be changed (another meter); `silent` keeps it from talking.

    Args:
        source: What it measures, + = from the grid.
        clock: Stamps the telegrams.
        equipment_id: OBIS 0-0:96.1.1.
        interval_s: Seconds of the clock between telegrams: 1 in DSMR 5, 10 in DSMR 4.
        link: A stable name of its port.
    """

    def __init__(
        self,
        source: RegisterSource,
        clock: Clock,
        *,
        equipment_id: str = "E0043007500000001",
        interval_s: float = 1.0,
        link: Path | None = None,
    ) -> None:
        super().__init__(link)
        self.source = source
        self.clock = clock
        self.equipment_id = equipment_id
        self.interval_s = interval_s
        self.offset_import_wh = 0
        self.offset_export_wh = 0
        self.silent = False

    async def run(self) -> None:
        """Send a telegram at each multiple of the interval."""
        while True:
            next_s = (self.clock.now() // self.interval_s + 1) * self.interval_s
            await self.clock.sleep_until(next_s)
            if not self.silent:
                self.line.write(self.telegram(next_s).encode())

    def telegram(self, at_s: float) -> Telegram:
        """The telegram of an instant. The low tariff stands still, as during the day."""
        return Telegram(
            equipment_id=self.equipment_id,
            at_s=at_s,
            import_wh=(0, self.source.import_wh(at_s) + self.offset_import_wh),
            export_wh=(0, self.source.export_wh(at_s) + self.offset_export_wh),
            power_w=self.source.power_w(),
        )
