"""A simulated Japanese smart meter as route B sees it: ECHONET Lite object 0x0288.

Source: APPENDIX Detailed Requirements for ECHONET Device Objects, class 0x0288. The radio in front
of it is `wisun_adapter`.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from gridcord.chassis.clock import Clock
from gridcord.protocols import echonet, echonet_energy
from gridcord.protocols.echonet import Frame, Property, Service
from gridcord.protocols.echonet_energy import FixedTime, LocalTime
from gridcord.simulation.instruments.source import RegisterSource

HALF_HOUR_S = 1800  # the meter's own grid, by its standard
_JST_S = 9 * 3600
_DAY_S = 86_400
_MIN_TENTHS_A, _MAX_TENTHS_A = -0x7FFF, 0x7FFD  # of a phase: half the power at 100 V

_DAY, _FIXED_IMPORT, _FIXED_EXPORT, _BACK_FROM = 0xE5, 0xEA, 0xEB, 0xED
_SETTABLE = frozenset({0x81, _DAY, _BACK_FROM})
_ANNOUNCED = frozenset({0x80, 0x81, 0x88, _FIXED_IMPORT, _FIXED_EXPORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPlate:
    """What is fixed about a meter.

    Args:
        route_b_id: 32 hexadecimal digits; who knows them may try to join.
        password: 12 characters.
        manufacturer: EPC 8A, three bytes.
        serial_number: EPC 8D, 12 characters.
        domain_id: EPC C0, 16 bytes; None = a meter before Release R.
        unit: Code of E1: 3 = 1 Wh, 2 = 10 Wh, 1 = 100 Wh, 0 = 1 kWh.
        coefficient: EPC D3; None = not supported, to be taken as 1.
        digits: EPC D7.
    """

    route_b_id: str = "00112233445566778899AABBCCDDEEFF"
    password: str = "0123456789AB"  # noqa: S105  (of a simulated meter)
    manufacturer: bytes = b"\x00\x00\x16"
    serial_number: str = "S13Y00001234"
    domain_id: bytes | None = None
    unit: int = 0x01
    coefficient: int | None = 1
    digits: int = 6


class RouteBMeter:
    """Counts, remembers each half hour, and tells it to whoever has joined.

    Faults: `offset_import_wh` and `offset_export_wh` make a register jump; `without` takes
    properties away; `silent` keeps it from answering; `announces` from telling of itself.

    Args:
        source: What it measures, + = from the grid.
        clock: Its wall clock, shown as Japanese time.
        plate: What is fixed about it.
        push_delay_s: Seconds of the clock between a half hour and the announcement of it.
        confirmed: Announce with INFC, which wants an answer.
    """

    def __init__(
        self,
        source: RegisterSource,
        clock: Clock,
        *,
        plate: MeterPlate | None = None,
        push_delay_s: float = 20.0,
        confirmed: bool = False,
    ) -> None:
        self.source = source
        self.clock = clock
        self.plate = plate or MeterPlate()
        self.push_delay_s = push_delay_s
        self.confirmed = confirmed
        self.offset_import_wh = 0
        self.offset_export_wh = 0
        self.without: set[int] = set()
        self.silent = False
        self.announces = True
        self.half_hours: dict[int, tuple[int, int]] = {}
        self.confirmations: list[Frame] = []
        self._listener: Callable[[Frame], None] | None = None
        self._settings: dict[int, bytes] = {_DAY: b"\0"}
        self._transaction = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to remember half hours."""
        self._counts(self._half_hour_now())
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; raises what went wrong meanwhile."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def remember(self, at_s: int, *, import_wh: int, export_wh: int) -> None:
        """Put a half hour of the past into its memory.

        Args:
            at_s: The half hour, seconds since 1970 UTC.
            import_wh: Register towards the site then, Wh.
            export_wh: Register the other way then, Wh.
        """
        self.half_hours[at_s] = (self._count(import_wh), self._count(export_wh))

    def join(self, listener: Callable[[Frame], None]) -> bool:
        """Open the one session it can hold; False when somebody else has it."""
        if self._listener is not None:
            return False
        self._listener = listener
        return True

    def leave(self, listener: Callable[[Frame], None]) -> None:
        """End the session of this listener."""
        if self._listener == listener:
            self._listener = None

    def announce(self) -> None:
        """Tell the last half hour to whoever has joined."""
        codes = (_FIXED_IMPORT, _FIXED_EXPORT)
        values = self._properties()
        properties = tuple(Property(c, values[c]) for c in codes if c in values)
        self.tell(Service.INFC if self.confirmed else Service.INF, properties)

    def tell(self, service: Service, properties: tuple[Property, ...]) -> None:
        """Send something unasked."""
        self._transaction += 1
        frame = Frame(
            transaction=self._transaction % 0x10000,
            source=echonet_energy.SMART_METER,
            destination=echonet_energy.CONTROLLER,
            service=service,
            properties=properties,
        )
        if self._listener is not None:
            self._listener(frame)

    def answer(self, request: Frame) -> Frame | None:
        """The frame that the meter sends back; None when none is due."""
        if request.service is Service.INFC_RES:
            self.confirmations.append(request)
            return None
        services = echonet.ANSWERS.get(request.service)
        if self.silent or services is None or request.destination != echonet_energy.SMART_METER:
            return None
        read = self._set if request.service is Service.SET_C else self._get
        properties, complete = read(request.properties)
        return request.answer(services[not complete], properties)

    def _get(self, wanted: tuple[Property, ...]) -> tuple[tuple[Property, ...], bool]:
        values = self._properties()
        found = tuple(Property(p.code, values.get(p.code, b"")) for p in wanted)
        return found, all(p.code in values for p in wanted)

    def _set(self, wanted: tuple[Property, ...]) -> tuple[tuple[Property, ...], bool]:
        allowed = {p.code for p in wanted} <= _SETTABLE - self.without
        if not allowed:
            return wanted, False
        self._settings.update({p.code: p.data for p in wanted})
        return tuple(Property(p.code) for p in wanted), True

    def _properties(self) -> dict[int, bytes]:
        values = self._plate_properties() | self._energy_properties()
        if (history := self._history_back()) is not None:
            values[0xEC] = history
        for code in self.without:
            values.pop(code, None)
        readable = frozenset(values) | {0xEC, 0x9D, 0x9E, 0x9F} - self.without
        values[0x9D] = echonet.encode_property_map(_ANNOUNCED - self.without)
        values[0x9E] = echonet.encode_property_map(_SETTABLE - self.without)
        values[0x9F] = echonet.encode_property_map(readable)
        return values

    def _plate_properties(self) -> dict[int, bytes]:
        plate, at = self.plate, self._local(self.clock.now())
        values = {
            0x80: b"\x30",
            0x81: self._settings.get(0x81, b"\x61"),
            0x82: b"\x00\x00R\x00" if plate.domain_id else b"\x00\x00F\x00",
            0x88: b"\x42",
            0x8A: plate.manufacturer,
            0x8D: plate.serial_number.encode("ascii"),
            0x97: bytes((at.hour, at.minute)),
            0x98: struct.pack(">HBB", at.year, at.month, at.day),
            0xD7: bytes((plate.digits,)),
            0xE1: bytes((plate.unit,)),
        }
        if plate.domain_id is not None:
            values[0xC0] = plate.domain_id
        if plate.coefficient is not None:
            values[0xD3] = struct.pack(">I", plate.coefficient)
        return values

    def _energy_properties(self) -> dict[int, bytes]:
        imported, exported = self._registers(None)
        at = self._half_hour_now()
        time = _local_time(self._local(at))
        fixed_import, fixed_export = self._counts(at)
        power_w = self.source.power_w()
        day = self._settings[_DAY]
        return {
            0xE0: echonet_energy.encode_count(imported),
            0xE2: self._history_day(day[0], 0),
            0xE3: echonet_energy.encode_count(exported),
            0xE4: self._history_day(day[0], 1),
            _DAY: day,
            0xE7: echonet_energy.encode_power(power_w),
            0xE8: 2 * struct.pack(">h", max(_MIN_TENTHS_A, min(_MAX_TENTHS_A, power_w // 20))),
            _FIXED_IMPORT: FixedTime(time=time, count=fixed_import).encode(),
            _FIXED_EXPORT: FixedTime(time=time, count=fixed_export).encode(),
            _BACK_FROM: self._settings.get(_BACK_FROM, b"\xff\xff\xff\xff\xff\xff\x0c"),
        }

    def _history_day(self, days_back: int, direction: int) -> bytes:
        midnight_s = (self._local_s() // _DAY_S - days_back) * _DAY_S - _JST_S
        counts = (self._known(midnight_s + HALF_HOUR_S * n) for n in range(48))
        values = (None if both is None else both[direction] for both in counts)
        return struct.pack(">H", days_back) + b"".join(map(echonet_energy.encode_count, values))

    def _history_back(self) -> bytes | None:
        setting = self._settings.get(_BACK_FROM)
        if setting is None or len(setting) != 7:
            return None
        year, month, day, hour, minute, number = struct.unpack(">HBBBBB", setting)
        try:
            local = datetime(year, month, day, hour, minute, tzinfo=UTC)
        except ValueError:
            return None
        from_s = int(local.timestamp()) - _JST_S
        pairs = (self._known(from_s - HALF_HOUR_S * n) for n in range(number))
        counts = (count for pair in pairs for count in (pair or (None, None)))
        return setting + b"".join(map(echonet_energy.encode_count, counts))

    def _known(self, at_s: int) -> tuple[int, int] | None:
        if at_s > self.clock.now():
            return None
        return self._counts(at_s) if at_s == self._half_hour_now() else self.half_hours.get(at_s)

    def _counts(self, at_s: int) -> tuple[int, int]:
        """Registers of a half hour that is not long past; asked of the source once."""
        if at_s not in self.half_hours:
            self.half_hours[at_s] = self._registers(at_s)
        return self.half_hours[at_s]

    def _registers(self, at_s: float | None) -> tuple[int, int]:
        imported = self._count(self.source.import_wh(at_s) + self.offset_import_wh)
        return imported, self._count(self.source.export_wh(at_s) + self.offset_export_wh)

    def _count(self, wh: int) -> int:
        one_wh = echonet_energy.UNITS_WH[self.plate.unit] * (self.plate.coefficient or 1)
        modulus: int = 10**self.plate.digits
        return int(Fraction(wh) / one_wh) % modulus

    def _half_hour_now(self) -> int:
        return int(self.clock.now() // HALF_HOUR_S) * HALF_HOUR_S

    def _local_s(self) -> int:
        return int(self.clock.now()) + _JST_S

    def _local(self, at_s: float) -> datetime:
        return datetime.fromtimestamp(at_s, UTC) + timedelta(seconds=_JST_S)

    async def _run(self) -> None:
        while True:
            next_s = self._half_hour_now() + HALF_HOUR_S
            await self.clock.sleep_until(next_s)
            self._counts(next_s)
            await self.clock.sleep(self.push_delay_s)
            if self.announces and not self.silent:
                self.announce()


def _local_time(at: datetime) -> LocalTime:
    return LocalTime(
        year=at.year, month=at.month, day=at.day, hour=at.hour, minute=at.minute, second=at.second
    )
