"""A SunSpec device over Modbus TCP: found, read, and told a power that it forgets by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from gridcord.protocols import sunspec
from gridcord.protocols.sunspec import CONTROLS, END, DeviceState, SunSpecError

_MOST_MODELS = 200


class DeviceUnavailable(Exception):
    """The device does not answer, refuses, or is not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAddress:
    """Where a device is.

    Args:
        host: Name or address.
        port: TCP port.
        unit: Modbus unit, 1 to 247.
        timeout_s: Longest wait for an answer, real seconds.
    """

    host: str
    port: int = 502
    unit: int = 1
    timeout_s: float = 2.0


class SunSpecDevice:
    """One device. A failure ends the connection; the next call opens it anew.

    Args:
        address: Where it is.
        revert_s: Seconds of silence after which the device goes to 0 W by itself.
    """

    def __init__(self, address: DeviceAddress, *, revert_s: int) -> None:
        self._address = address
        self._revert_s = revert_s
        self._client: AsyncModbusTcpClient | None = None
        self._models: dict[int, int] = {}
        self._controls: Sequence[int] = ()
        self._lock = asyncio.Lock()

    async def read(self) -> DeviceState:
        """What it says of itself now.

        Raises:
            DeviceUnavailable: It cannot be asked, or its answer cannot be used.
        """
        async with self._lock:
            try:
                client = await self._open()
                found = {
                    model: await self._model(client, model)
                    for model in self._models
                    if model != CONTROLS
                }
                return sunspec.read_state(found)
            except (ModbusException, SunSpecError, OSError, TimeoutError) as error:
                raise self._lost(error) from error
            except asyncio.CancelledError:  # an answer that is still on its way is nobody's
                self._drop()
                raise

    async def set_power(self, power_w: int) -> None:
        """Let it transfer a power, W, + charging, until it hears nothing for `revert_s`.

        Raises:
            DeviceUnavailable: It may or may not have heard.
        """
        async with self._lock:
            try:
                client = await self._open()
                reversion = sunspec.reversion_registers(self._revert_s, controls=self._controls)
                await self._write(client, sunspec.REVERT_ENABLED, reversion)
                setpoint = sunspec.setpoint_registers(power_w, controls=self._controls)
                await self._write(client, sunspec.SET_ENABLED, setpoint)
            except (ModbusException, SunSpecError, OSError, TimeoutError) as error:
                raise self._lost(error) from error
            except asyncio.CancelledError:  # an answer that is still on its way is nobody's
                self._drop()
                raise

    async def close(self) -> None:
        """Close the connection."""
        async with self._lock:
            self._drop()

    def _lost(self, error: Exception) -> DeviceUnavailable:
        self._drop()
        place = f"{self._address.host}:{self._address.port} unit {self._address.unit}"
        return DeviceUnavailable(f"{place}: {error}")

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _open(self) -> AsyncModbusTcpClient:
        if self._client is not None:
            return self._client
        client = AsyncModbusTcpClient(
            self._address.host,
            port=self._address.port,
            timeout=self._address.timeout_s,
            retries=0,
            reconnect_delay=0,
        )
        self._client = client  # closed by whoever sees the failure
        if not await client.connect():
            message = "no connection"
            raise SunSpecError(message)
        self._models = await self._found(client)
        self._controls = await self._model(client, CONTROLS)
        nothing = sunspec.encode(sunspec.REVERT_POWER, 0, self._controls)
        await self._write(client, sunspec.REVERT_POWER, nothing)
        return client

    async def _found(self, client: AsyncModbusTcpClient) -> dict[int, int]:
        """Addresses of the models that are needed."""
        at = await self._base(client) + len(sunspec.MARK)
        found: dict[int, int] = {}
        for _ in range(_MOST_MODELS):
            model, length = await self._read(client, at, sunspec.HEADER)
            if model == END:
                break
            if sunspec.HEADER + length >= sunspec.READ_THROUGH.get(model, END):
                found.setdefault(model, at)
            at += sunspec.HEADER + length
        if missing := sunspec.READ_THROUGH.keys() - found.keys() - {sunspec.STORAGE}:
            message = f"without SunSpec models {sorted(missing)}"
            raise SunSpecError(message)
        return found

    async def _base(self, client: AsyncModbusTcpClient) -> int:
        for base in sunspec.BASES:
            response = await client.read_holding_registers(
                base, count=len(sunspec.MARK), device_id=self._address.unit
            )
            if not response.isError() and tuple(response.registers) == sunspec.MARK:
                return base
        message = "no SunSpec device"
        raise SunSpecError(message)

    async def _model(self, client: AsyncModbusTcpClient, model: int) -> Sequence[int]:
        return await self._read(client, self._models[model], sunspec.READ_THROUGH[model])

    async def _read(self, client: AsyncModbusTcpClient, at: int, count: int) -> Sequence[int]:
        response = await client.read_holding_registers(
            at, count=count, device_id=self._address.unit
        )
        if response.isError() or len(response.registers) != count:
            message = f"{count} registers at {at} are refused: {response}"
            raise SunSpecError(message)
        return response.registers

    async def _write(
        self, client: AsyncModbusTcpClient, point: sunspec.Point, registers: list[int]
    ) -> None:
        at = self._models[CONTROLS] + point.offset
        response = await client.write_registers(at, registers, device_id=self._address.unit)
        if response.isError():
            message = f"writing {len(registers)} registers at {at} is refused: {response}"
            raise SunSpecError(message)
