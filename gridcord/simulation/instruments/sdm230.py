"""A simulated Eastron SDM230: energy in both directions over Modbus RTU.

Source: Eastron "SDM230Modbus Protocol" (input registers, 40 parameters at most in one request,
an even number of registers, holding register FC00 for the serial number).
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

from gridcord.protocols import modbus_rtu as rtu
from gridcord.simulation.instruments.serial_instrument import SerialInstrument
from gridcord.simulation.instruments.source import RegisterSource

VOLTAGE = 0x0000
CURRENT = 0x0006
ACTIVE_POWER = 0x000C
APPARENT_POWER = 0x0012
POWER_FACTOR = 0x001E
FREQUENCY = 0x0046
IMPORT_ENERGY = 0x0048
EXPORT_ENERGY = 0x004A
TOTAL_ENERGY = 0x0156
SERIAL_NUMBER = 0xFC00

_LAST = 0x0158  # first register after the map
_MAX_COUNT = 80
_MAINS_V = 230.0


class Sdm230(SerialInstrument):
    """Answers on a serial port as unit `unit`.

    Faults beside those of the line: `offset_import_wh` and `offset_export_wh` make a register
    jump; `serial_number` may be changed (another meter); `has_export` and `has_sign` take away
    what a meter for this use must have.

    Args:
        source: What it measures, + = towards the vehicle.
        unit: Modbus address.
        serial_number: As engraved.
        step_wh: What one count of the registers is worth, Wh, >= 1.
        link: A stable name of its port.
    """

    def __init__(
        self,
        source: RegisterSource,
        *,
        unit: int = 1,
        serial_number: int = 23_100_147,
        step_wh: int = 1,
        link: Path | None = None,
    ) -> None:
        super().__init__(link)
        self.source = source
        self.unit = unit
        self.serial_number = serial_number
        self.step_wh = step_wh
        self.offset_import_wh = 0
        self.offset_export_wh = 0
        self.has_export = True
        self.has_sign = True
        self.requests = 0
        self._pending = bytearray()

    def received(self, data: bytes) -> None:
        """Answer each whole request; bytes that are none are skipped, as after a silent gap."""
        self._pending += data
        while len(self._pending) >= rtu.REQUEST_LENGTH:
            try:
                request = rtu.decode_request(bytes(self._pending[: rtu.REQUEST_LENGTH]))
            except rtu.ModbusFrameError:
                del self._pending[0]
                continue
            del self._pending[: rtu.REQUEST_LENGTH]
            if request.unit == self.unit:
                self.requests += 1
                self.line.write(self.answer(request))

    def answer(self, request: rtu.ReadRequest) -> bytes:
        """The frame that the meter sends back."""
        if request.count % 2 or request.count > _MAX_COUNT:
            return rtu.encode_exception(request, rtu.ILLEGAL_VALUE)
        if request.function == rtu.READ_HOLDING:
            if (request.address, request.count) != (SERIAL_NUMBER, 2):
                return rtu.encode_exception(request, rtu.ILLEGAL_ADDRESS)
            return rtu.encode_response(request, struct.pack(">I", self.serial_number))
        last = _LAST if self.has_export else EXPORT_ENERGY
        if request.address % 2 or request.address + request.count > last:
            return rtu.encode_exception(request, rtu.ILLEGAL_ADDRESS)
        values = self._values()
        addresses = range(request.address, request.address + request.count, 2)
        return rtu.encode_response(
            request, b"".join(struct.pack(">f", values.get(a, 0.0)) for a in addresses)
        )

    def _values(self) -> dict[int, float]:
        power_w = self.source.power_w() if self.has_sign else abs(self.source.power_w())
        imported = self._kwh(self.source.import_wh() + self.offset_import_wh)
        exported = self._kwh(self.source.export_wh() + self.offset_export_wh)
        return {
            VOLTAGE: _MAINS_V,
            CURRENT: abs(power_w) / _MAINS_V,
            ACTIVE_POWER: float(power_w),
            APPARENT_POWER: float(abs(power_w)),
            POWER_FACTOR: math.copysign(1.0, power_w),
            FREQUENCY: 50.0,
            IMPORT_ENERGY: imported,
            EXPORT_ENERGY: exported,
            TOTAL_ENERGY: imported + exported,
        }

    def _kwh(self, wh: int) -> float:
        return wh // self.step_wh * self.step_wh / 1000
