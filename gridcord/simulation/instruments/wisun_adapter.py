"""A simulated Wi-SUN module on a serial port, with a route-B meter in radio range.

It answers SKSTACK commands in the dialect of BP35C2 or BP35A1, finds the meter when the route-B id
is right, joins it by PANA when the password is, and carries ECHONET Lite frames both ways.
Source: ROHM, BP35A1 command reference 1.3.0; RFC 5191 (PANA).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from gridcord.protocols import echonet, echonet_energy, skstack
from gridcord.protocols.echonet import Frame, Property, Service
from gridcord.protocols.skstack import Command, Dialect, Event, Failure, Received
from gridcord.simulation.instruments.route_b_meter import RouteBMeter
from gridcord.simulation.instruments.serial_instrument import SerialInstrument

_OWN_MAC = "001D12900003C890"
_EVERY_NODE = "FF02:0000:0000:0000:0000:0000:0000:0001"
_CHANNEL, _PAN = "2F", "76A4"
_LQI = 0x4D
_PANA_AUTH, _PANA_EXCHANGES = 2, 4
_SENT, _NOT_SENT = 0, 1
_ARGUMENTS = {
    "WOPT": 1,
    "SKSREG": 2,
    "SKSETRBID": 1,
    "SKSETPWD": 2,
    "SKSCAN": 3,  # and one more in the dialect with a side
    "SKLL64": 1,
    "SKJOIN": 1,
}
_UNCOUNTED = {"SKSENDTO"}  # its arguments are counted where it is cut out of the bytes


class WisunAdapter(SerialInstrument):
    """Answers on a serial port.

    Faults: those of the line hit the frames that come from the meter. `scan_failures` and
    `join_failures` count down; `end_session`, `expire_session` and `limit_airtime` play what a
    meter or the radio law does; `has_ropt` False is a module without that command.

    Args:
        meter: In radio range.
        dialect: Which module it is.
        mac: Of the meter, 16 hexadecimal digits.
        scan_s: Real seconds that a scan takes; on a real module 18 to 69.
        join_s: Real seconds that joining takes; on a real module up to 40.
        link: A stable name of its port.
    """

    def __init__(
        self,
        meter: RouteBMeter,
        *,
        dialect: Dialect = Dialect.BP35C2,
        mac: str = "001C640003CD76A4",
        scan_s: float = 0.02,
        join_s: float = 0.02,
        link: Path | None = None,
    ) -> None:
        super().__init__(link)
        self.meter = meter
        self.dialect = dialect
        self.scan_s = scan_s
        self.join_s = join_s
        self.scan_failures = 0
        self.join_failures = 0
        self.has_ropt = True
        self.ascii_data = True
        self.option_writes = 0
        self.joined = False
        self.limited = False
        self.commands: list[str] = []
        self._mac = mac
        self._own_address, self._meter_address = link_local(_OWN_MAC), link_local(mac)
        self._registers: dict[str, str] = {}
        self._route_b_id = self._password = ""
        self._pending = bytearray()
        self._queue: asyncio.Queue[Command] = asyncio.Queue()
        self._handlers: dict[str, Callable[[Command], Awaitable[None]]] = {
            "ROPT": self._read_option,
            "WOPT": self._write_option,
            "SKVER": self._version,
            "SKINFO": self._info,
            "SKRESET": self._reset,
            "SKSREG": self._set_register,
            "SKSETRBID": self._set_id,
            "SKSETPWD": self._set_password,
            "SKSCAN": self._scan,
            "SKLL64": self._address,
            "SKJOIN": self._join,
            "SKTERM": self._terminate,
            "SKSENDTO": self._send_to,
        }

    async def stop(self) -> None:
        """Unplug for good; the meter sees its session end."""
        self._leave()
        await super().stop()

    def unplug(self) -> None:
        """Pull it out: it loses power and with it the session."""
        self._leave()
        self._registers.clear()
        super().unplug()

    def end_session(self) -> None:
        """The meter ends the session, as some do every day."""
        self._leave()
        self._event(Event.PEER_ENDED)

    async def expire_session(self) -> None:
        """The session's lifetime is over; the module authenticates again by itself."""
        self._event(Event.LIFETIME_OVER)
        await asyncio.sleep(self.join_s)
        self._event(Event.JOINED)

    def limit_airtime(self, *, limited: bool) -> None:
        """The radio law's airtime is used up, or free again."""
        self.limited = limited
        self._event(Event.AIRTIME_LIMIT if limited else Event.AIRTIME_FREE)

    def received(self, data: bytes) -> None:
        """Queue each whole command."""
        self._pending += data
        while True:
            try:
                command = skstack.take_command(self._pending, self.dialect)
            except skstack.SkstackError:
                self._fail(Failure.SYNTAX)
                continue
            if command is None:
                return
            self._queue.put_nowait(command)

    async def run(self) -> None:
        """Execute commands one after the other, as the module does."""
        while True:
            command = await self._queue.get()
            self.commands.append(" ".join(command.words))
            self._echo(command)
            await self._execute(command)

    async def _execute(self, command: Command) -> None:
        handler = self._handlers.get(command.name)
        wanted = _ARGUMENTS.get(command.name, 0) + (
            command.name == "SKSCAN" and self.dialect.has_side
        )
        if handler is None:
            self._fail(Failure.UNSUPPORTED)
        elif command.name not in _UNCOUNTED and len(command.arguments) != wanted:
            self._fail(Failure.ARGUMENTS)
        else:
            await handler(command)

    async def _read_option(self, _: Command) -> None:
        if not self.has_ropt:
            self._fail(Failure.UNSUPPORTED)
            return
        self.port.write(f"OK {int(self.ascii_data):02X}\r".encode("ascii"))

    async def _write_option(self, command: Command) -> None:
        self.ascii_data = command.arguments[:1] == ("01",)
        self.option_writes += 1
        self.port.write(b"OK\r")

    async def _version(self, _: Command) -> None:
        self._say("EVER 1.5.2", "OK")

    async def _info(self, _: Command) -> None:
        side = "0" if self.dialect.has_side else "FFFE"
        self._say(f"EINFO {self._own_address} {_OWN_MAC} 21 FFFF {side}", "OK")

    async def _reset(self, _: Command) -> None:
        self._leave()
        self._registers.clear()
        self._say("OK")

    async def _set_register(self, command: Command) -> None:
        name, value = command.arguments
        self._registers[name] = value
        self._say("OK")

    async def _set_id(self, command: Command) -> None:
        self._route_b_id = command.arguments[0]
        self._say("OK")

    async def _set_password(self, command: Command) -> None:
        self._password = command.arguments[1]
        self._say("OK")

    async def _scan(self, _: Command) -> None:
        self._say("OK")
        await asyncio.sleep(self.scan_s)
        if self.scan_failures:
            self.scan_failures -= 1
        elif self._route_b_id == self.meter.plate.route_b_id:
            self._event(Event.BEACON)
            self._say(*self._description())
        self._event(Event.SCAN_DONE, address=self._own_address)

    def _description(self) -> list[str]:
        lines = ["EPANDESC", f"  Channel:{_CHANNEL}", "  Channel Page:09", f"  Pan ID:{_PAN}"]
        lines += [f"  Addr:{self._mac}", f"  LQI:{_LQI:02X}"]
        lines += ["  Side:0"] if self.dialect.has_side else []
        return [*lines, f"  PairID:{self.meter.plate.route_b_id[-8:]}"]

    async def _address(self, command: Command) -> None:
        try:
            self._say(link_local(command.arguments[0]))
        except (ValueError, IndexError):
            self._fail(Failure.SYNTAX)

    async def _join(self, _: Command) -> None:
        self._say("OK")
        await asyncio.sleep(self.join_s)
        self._event(Event.SENT, _SENT)
        self._event(Event.NEIGHBOR_ADVERTISEMENT)
        for number in range(_PANA_EXCHANGES):
            self._hear(_pana(number), port=skstack.PANA_PORT, secure=False)
            self._event(Event.SENT, _SENT)
        if not self._admitted():
            self._event(Event.JOIN_FAILED)
            return
        self.joined = True
        self._event(Event.JOINED)
        self._hear(_instance_list().encode(), to=_EVERY_NODE)

    def _admitted(self) -> bool:
        if self.join_failures:
            self.join_failures -= 1
            return False
        return self._password == self.meter.plate.password and self.meter.join(self._from_meter)

    async def _terminate(self, _: Command) -> None:
        if not self.joined:
            self._fail(Failure.NOT_EXECUTED)
            return
        self._leave()
        self._say("OK")
        self._event(Event.ENDED)

    async def _send_to(self, command: Command) -> None:
        self._event(Event.SENT, _NOT_SENT if self.limited else _SENT)
        self._say("OK")
        if not self.joined or self.limited:
            return  # a meter does not answer what comes without a session
        try:
            request = echonet.decode(command.payload)
        except echonet.EchonetError:
            return
        answer = self.meter.answer(request)
        if answer is not None:
            self._from_meter(answer)

    def _from_meter(self, frame: Frame) -> None:
        if self.joined:
            self._hear(frame.encode())

    def _leave(self) -> None:
        self.joined = False
        self.meter.leave(self._from_meter)

    def _hear(
        self,
        data: bytes,
        *,
        port: int = echonet.PORT,
        secure: bool = True,
        to: str | None = None,
    ) -> None:
        wants_lqi = self._registers.get("SA2") == "1" and self.dialect.has_side
        received = Received(
            source=self._meter_address,
            destination=to or self._own_address,
            source_port=port,
            destination_port=port,
            mac=self._mac,
            lqi=_LQI if wants_lqi else None,
            secure=secure,
            side=0 if self.dialect.has_side else None,
            data=data,
        )
        line = received.encode(ascii_data=self.ascii_data)
        (self.line.write if secure and to is None else self.port.write)(line)

    def _event(
        self, number: Event, parameter: int | None = None, *, address: str | None = None
    ) -> None:
        where = address or self._meter_address
        self._say(skstack.encode_event(number, where, self.dialect, parameter))

    def _echo(self, command: Command) -> None:
        text = " ".join(command.words) + (" " if command.payload else "")
        self._say(text)

    def _fail(self, why: Failure) -> None:
        self._say(f"FAIL {why}")

    def _say(self, *lines: str) -> None:
        self.port.write(b"".join(line.encode("ascii") + skstack.LINE_END for line in lines))


def link_local(mac: str) -> str:
    """The link-local IPv6 address of a 64-bit MAC address (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac)
    octets[0] ^= 0x02
    groups = [octets[at : at + 2].hex().upper() for at in range(0, 8, 2)]
    return ":".join(("FE80", "0000", "0000", "0000", *groups))


def _instance_list() -> Frame:
    return Frame(
        transaction=0,
        source=echonet_energy.NODE_PROFILE,
        destination=echonet_energy.NODE_PROFILE,
        service=Service.INF,
        properties=(Property(0xD5, b"\x01" + echonet_energy.SMART_METER),),
    )


def _pana(sequence: int) -> bytes:
    """A PANA-Auth-Request header; what it carries is between meter and module and not played."""
    return struct.pack(">HHHHII", 0, 16, 0x8000, _PANA_AUTH, 0x1F2E3D4C, sequence)
