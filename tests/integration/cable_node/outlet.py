"""A simulated house with all its instruments, and the settings of the cable that hangs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridcord.chassis.clock import Clock, SystemClock
from gridcord.simulation.house import Cheat, House, HouseModel
from gridcord.simulation.instruments.gps_receiver import GpsReceiver
from gridcord.simulation.instruments.home_energy_node import HomeEnergyNode
from gridcord.simulation.instruments.p1_meter import P1Meter
from gridcord.simulation.instruments.rapi_board import RapiBoard
from gridcord.simulation.instruments.route_b_meter import MeterPlate, RouteBMeter
from gridcord.simulation.instruments.sdm230 import Sdm230
from gridcord.simulation.instruments.wisun_adapter import WisunAdapter
from gridcord.simulation.loopback import house_hosts
from gridcord.simulation.vehicle import Vehicle, VehicleModel
from gridcord.units import Position

PERIOD_S = 1800
SAMPLE_S = 10.0
POWER_W = 1500
RESERVE_PERCENT = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletPlan:
    """One house.

    Args:
        number: From 0; its cable is `cable-<number>`.
        route_b: Its smart meter speaks route B and there is no energy manager; else P1 and one.
        cheat: What is wrong there.
    """

    number: int
    route_b: bool = False
    cheat: Cheat = Cheat.NONE

    @property
    def cable_id(self) -> str:
        """By its certificate."""
        return f"cable-{self.number}"

    @property
    def equipment_id(self) -> str:
        """Of the P1 meter."""
        return f"E0043007500{self.number:06d}"

    @property
    def serial_number(self) -> str:
        """Of the route-B meter."""
        return f"S13Y{self.number:08d}"

    @property
    def site_id(self) -> str:
        """As its own smart meter tells it."""
        if self.route_b:
            return f"jp.0288:000016-{self.serial_number}"
        return f"obis:{self.equipment_id.encode().hex()}"


class Outlet:
    """A house that lives on a clock, byte for byte.

    Args:
        plan: Which.
        clock: Everybody's.
        folder: Of its ports and its cable.
        day_start_s: A midnight of the household's, seconds since 1970 UTC.
    """

    def __init__(self, plan: OutletPlan, clock: Clock, folder: Path, day_start_s: int) -> None:
        self.plan = plan
        self.folder = folder
        folder.mkdir(parents=True)
        model = HouseModel(
            number=plan.number,
            site_id=plan.site_id,
            registered=Position(35.6 + 0.01 * plan.number, 139.7),
            load_seed=11 + plan.number,
            cheat=plan.cheat,
            day_start_s=day_start_s,
        )
        vehicle = Vehicle(VehicleModel(power_w=POWER_W), 34_000.0, reserve_percent=RESERVE_PERCENT)
        vehicle.setpoint_w = -POWER_W
        self.house = House(model, vehicle, clock.now)
        self.board = RapiBoard(self.house, SystemClock(), link=folder / "board")
        self.house.contactor_closed = lambda: self.board.closed
        self._instruments: list[Any] = [
            Sdm230(self.house.cable, serial_number=23_100_000 + plan.number, link=folder / "meter"),
            self.board,
            GpsReceiver(self.house, clock, interval_s=60.0, link=folder / "gps"),
            *(self._route_b(clock) if plan.route_b else self._p1_and_hems(clock)),
        ]

    def _p1_and_hems(self, clock: Clock) -> list[Any]:
        return [
            P1Meter(
                self.house.meter,
                clock,
                equipment_id=self.plan.equipment_id,
                interval_s=30.0,
                link=self.folder / "site",
            ),
            HomeEnergyNode(
                self.house.appliances,
                address=(self._hosts[0], 3610),
                identifier=bytes.fromhex("fe000016")
                + self.plan.number.to_bytes(12, "big")
                + b"\x01",
            ),
        ]

    def _route_b(self, clock: Clock) -> list[Any]:
        plate = MeterPlate(serial_number=self.plan.serial_number, unit=2)
        meter = RouteBMeter(self.house.meter, clock, plate=plate)
        return [WisunAdapter(meter, link=self.folder / "site"), meter]

    @property
    def _hosts(self) -> tuple[str, str]:
        return house_hosts(self.plan.number)

    @property
    def socket(self) -> Path:
        """Of the cable's local service."""
        return self.folder / "cable.sock"

    async def start(self) -> None:
        """Plug the instruments in."""
        for instrument in self._instruments:
            await instrument.start()

    async def stop(self) -> None:
        """Pull them out."""
        for instrument in reversed(self._instruments):
            await instrument.stop()

    def plug(self, *, plugged: bool) -> None:
        """A vehicle comes or goes."""
        self.house.advance()
        self.house.plugged = plugged

    def settings(
        self, tls: Mapping[str, str], manager: Mapping[str, str], clock: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """Of the cable node."""
        speed = float(clock["speed"])
        tables: dict[str, dict[str, Any]] = {
            "tls": dict(tls),
            "manager": dict(manager),
            "journal": {
                "file": str(self.folder / "journal.db"),
                "key": str(self.folder / "signing.pem"),
            },
            "cable": {
                "rated_power_w": POWER_W,
                "driver_id": f"driver-{self.plan.number}",
                "vehicle_id": f"vehicle-{self.plan.number}",
                "period_s": PERIOD_S,
                "sample_s": SAMPLE_S,
                "max_gap_s": speed,  # a busy machine may keep a cable from reading for a second
                "clock_synchronised": True,
            },
            "meter": {"port": str(self.folder / "meter")},
            "site": {
                "driver": "p1",
                "version": "5",
                "port": str(self.folder / "site"),
                "max_gap_s": 2 * speed,
            },
            "position": {"driver": "nmea", "port": str(self.folder / "gps")},
            "contactor": {
                "driver": "rapi",
                "port": str(self.folder / "board"),
                "state_s": 0.2 * speed,
                # The board opens in real time: not to be taken for power against the permission.
                "trip_s": 1.5 * speed,
                "blind_s": 20 * speed,
            },
            "match": {"rule": "patent", "difference_wh": 200},
            "local": {"socket": str(self.socket)},
            "clock": dict(clock),
            "log": {"format": "json"},
        }
        if self.plan.route_b:
            credentials = self.folder / "route-b.toml"
            plate = MeterPlate()
            credentials.write_text(
                f'route_b_id = "{plate.route_b_id}"\npassword = "{plate.password}"\n', "utf-8"
            )
            tables["site"] |= {
                "driver": "route_b",
                "settle_s": 0.0,
                "request_interval_s": 60.0,
                "credentials": str(credentials),
            }
        else:
            tables["hems"] = {
                "driver": "echonet",
                "host": self._hosts[0],
                "local_host": self._hosts[1],
                "coverage": "full",
                "poll_s": 60.0,
            }
        return tables
