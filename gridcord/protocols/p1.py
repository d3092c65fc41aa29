"""P1 telegrams of a smart meter: writing them.

Reading them is `dsmr-parser`'s work. Source: DSMR P1 companion standard 5.0.2, sections 5.12
(telegram, CRC16) and 6 (representation of values).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_ZONE = ZoneInfo("Europe/Amsterdam")  # time of the clock in Dutch and Belgian meters


@dataclass(frozen=True, slots=True, kw_only=True)
class Telegram:
    """What a meter says each second.

    Args:
        equipment_id: OBIS 0-0:96.1.1, up to 48 characters.
        at_s: Seconds since 1970 UTC.
        import_wh: Register of each tariff, grid towards site, Wh, >= 0.
        export_wh: Register of each tariff, the other way, Wh, >= 0.
        power_w: Now, + = import.
        tariff: The one that counts, 1 or 2.
    """

    equipment_id: str
    at_s: float
    import_wh: tuple[int, int]
    export_wh: tuple[int, int]
    power_w: int
    tariff: int = 2

    def encode(self) -> bytes:
        """The whole telegram, from `/` to the line end after its CRC."""
        identifier = self.equipment_id.encode("ascii").hex().upper()
        lines = (
            "/GRC5SIM-0001",
            "",
            "1-3:0.2.8(50)",
            f"0-0:1.0.0({local_time(self.at_s)})",
            f"0-0:96.1.1({identifier})",
            f"1-0:1.8.1({_kwh(self.import_wh[0])})",
            f"1-0:1.8.2({_kwh(self.import_wh[1])})",
            f"1-0:2.8.1({_kwh(self.export_wh[0])})",
            f"1-0:2.8.2({_kwh(self.export_wh[1])})",
            f"0-0:96.14.0({self.tariff:04d})",
            f"1-0:1.7.0({_kw(max(0, self.power_w))})",
            f"1-0:2.7.0({_kw(max(0, -self.power_w))})",
            "0-0:96.7.21(00003)",
            "0-0:96.7.9(00001)",
            "0-0:96.13.0()",
            "1-0:32.7.0(230.4*V)",
            f"1-0:31.7.0({min(999, abs(self.power_w) // 230):03d}*A)",
            f"1-0:21.7.0({_kw(max(0, self.power_w))})",
            f"1-0:22.7.0({_kw(max(0, -self.power_w))})",
            "!",
        )
        body = "\r\n".join(lines).encode("ascii")
        return body + f"{crc(body):04X}\r\n".encode("ascii")


def crc(body: bytes) -> int:
    """CRC-16/ARC (polynomial A001 reflected, start 0) over `/` to `!`, both included."""
    value = 0
    for byte in body:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value


def _of_byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value


_TABLE = tuple(map(_of_byte, range(256)))


def local_time(at_s: float) -> str:
    """`YYMMDDhhmmssX`, X being S in summer time and W in winter time."""
    at = datetime.fromtimestamp(at_s, UTC).astimezone(_ZONE)
    return f"{at:%y%m%d%H%M%S}{'S' if at.dst() else 'W'}"


def _kwh(wh: int) -> str:
    return f"{wh // 1000:06d}.{wh % 1000:03d}*kWh"


def _kw(w: int) -> str:
    return f"{w // 1000:02d}.{w % 1000:03d}*kW"
