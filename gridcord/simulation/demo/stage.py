"""Sets the stage: identities, settings files, the utility's register, prices, and the programs."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from gridcord.chassis.channel import open_channel, server_name
from gridcord.chassis.clock import ScaledClock
from gridcord.chassis.credentials import TlsFiles, client_credentials, load_identity
from gridcord.chassis.identity import Kind, Principal, Role
from gridcord.chassis.pki import PkiFolder
from gridcord.simulation.demo import market
from gridcord.simulation.demo.hosts import write_terms
from gridcord.simulation.demo.plan import (
    AREA,
    DOMAIN,
    MARKET,
    PERIOD_S,
    DemoPlan,
    HousePlan,
    Scenario,
    SiteMeterKind,
)
from gridcord.simulation.instruments.route_b_meter import MeterPlate
from gridcord.simulation.processes import Program
from gridcord.simulation.vtn import Vtn
from gridcord.simulation.world import BATTERY_WH, Outlet, write_readings, write_table

LEAD_REAL_S = 14.0  # real seconds for the programs to start before the first period begins ...
LEAD_REAL_S_PER_HOUSE = 0.75  # ... and for each cable's
LEAD_STARTS = 0.8  # at least this many times what starting one takes here and now, for each
MOST_LEAD_REAL_S = 90.0
PROGRAMS = 5  # beside the cables'
SAMPLE_S = 10.0  # between two readings of a cable's meter
GAP_REAL_S = 0.5  # real seconds that a busy machine may keep a cable from reading
HOST = "127.0.0.1"


class Stage:
    """Where a demonstration plays.

    Args:
        plan: What is played.
        folder: Of everything it writes.
    """

    def __init__(self, plan: DemoPlan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        lead_s = _lead_real_s(len(plan.houses))
        self._now_s = time.time()
        self.pki = PkiFolder(self.folder / "pki")
        self.pki.create(domain=DOMAIN, now_s=self._now_s - 3600)
        self.clock = ScaledClock(
            self.plan.speed,
            self._now_s,
            self.plan.start_s - lead_s * self.plan.speed,
        )
        self.programs: dict[str, Program] = {}

    @property
    def inbox(self) -> Path:
        """Where the utility's files are put."""
        return self.folder / "utility" / "inbox"

    @property
    def outbox(self) -> Path:
        """What the utility is told."""
        return self.folder / "utility" / "transfers.csv"

    def identity(self, kind: Kind, name: str, role: Role | None = None) -> TlsFiles:
        """An identity of the demonstration's domain, made at first use."""
        principal = Principal(domain=DOMAIN, kind=kind, id=name, role=role)
        files = self.pki.files(principal)
        if not files.certificate.exists():
            self.pki.issue(principal, now_s=self._now_s - 60)
        return files

    def channel(self, target: str, files: TlsFiles) -> grpc.aio.Channel:
        """A channel to the manager with an identity."""
        return open_channel(
            target,
            credentials=client_credentials(load_identity(files)),
            expect=server_name(Kind.MANAGER, DOMAIN),
        )

    def write_register(self, history: list[str]) -> None:
        """The utility's register of sites, and its readings of the weeks before."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        header = "site_id,latitude_deg,longitude_deg,rated_power_w,area_id,asset_id"
        rows = [_site_row(plan) for plan in self.plan.all_houses]
        write_table(self.inbox / "sites.csv", header, rows)
        write_readings(self.inbox / "history.csv", history)

    def add_utility(self) -> Program:
        """The utility adapter."""
        folder = self.folder / "utility"
        return self._add(
            "utility",
            "utility_adapter",
            Kind.UTILITY,
            {
                "store": {"file": folder / "utility.db"},
                "inbox": {"folder": self.inbox, "look_s": 0.1, "period_s": PERIOD_S},
                "outbox": {"file": self.outbox, "write_every_s": 1.0},
            },
        )

    def add_exchange(self) -> Program:
        """The exchange."""
        program = market.exchange(self.plan, self.folder / "exchange", self._clock_settings())
        self.programs["exchange"] = program
        return program

    def add_market(self, *, exchange: dict[str, Any], vtn: Vtn, secret: str) -> Program:
        """The market adapter, at the exchange and at the utility's demand response.

        Args:
            exchange: What the exchange told when it was ready.
            vtn: The utility's server of demand response.
            secret: The adapter's secret there.
        """
        folder = self.folder / "market"
        return self._add(
            "market",
            "market_adapter",
            Kind.MARKET,
            {
                "store": {"file": folder / "market.db"},
                "venue": market.venue(self.plan, folder, exchange),
                "openadr": market.openadr(self.plan, folder, vtn, secret),
                "imbalance": market.imbalance(folder),
            },
        )

    def add_manager(self, *, utility: str, trading: str) -> Program:
        """The manager.

        Args:
            utility: Where the utility adapter serves.
            trading: Where the market adapter serves.
        """
        speed = self.plan.speed
        return self._add(
            "manager",
            "manager",
            Kind.MANAGER,
            {
                "listen": {"address": f"{HOST}:0", "grace_s": 5.0},
                "database": {"file": self.folder / "manager" / "manager.db"},
                "period": {"length_s": PERIOD_S},
                "session": {
                    "lease_s": 3.0 * speed,
                    "look_s": 0.2 * speed,
                    "telemetry_interval_s": 0.25 * speed,
                    "setpoint_lease_s": 2.0 * speed,
                },
                "match": {
                    "reading_grace_s": 900.0,
                    "check_every_s": 0.5 * speed,
                    "sample_matched": 0.2,
                    "proof_reading_s": 30.0,
                },
                "dispatch": {"tick_s": 0.2 * speed, "default_area": AREA},
                "settlement": {
                    "terms": write_terms(self.plan, self.folder / "manager" / "terms.json")
                },
                "bidding": {
                    "market": MARKET,
                    "every_s": 5.0 * speed,
                    "sell_at_least": "12",
                    "buy_at_most": "9",
                },
                "utility": {"target": utility, "server_name": server_name(Kind.UTILITY, DOMAIN)},
                "market": {
                    "target": trading,
                    "server_name": server_name(Kind.MARKET, DOMAIN),
                },
            },
        )

    def add_battery(self, *, port: int, manager: str) -> Program:
        """The agent of the stationary battery.

        Args:
            port: Where the battery answers to Modbus TCP.
            manager: Where the manager serves.
        """
        program = Program(
            "gridcord.cli.resource",
            self.folder / "battery",
            {
                "tls": _tls(self.identity(Kind.RESOURCE, "battery-00")),
                "manager": {"target": manager, "server_name": server_name(Kind.MANAGER, DOMAIN)},
                "resource": {
                    "area_id": AREA,
                    "capacity_wh": BATTERY_WH,
                    "reserve_percent": 10.0,
                    "fence_file": self.folder / "battery" / "fence",
                },
                "device": {
                    "host": HOST,
                    "port": port,
                    "every_s": 0.3,
                    "revert_s": 3600,
                    "timeout_s": 10.0,
                },
                "session": _COMES_BACK,
                "clock": self._clock_settings(),
                "log": {"format": "json"},
            },
            ready=False,
        )
        self.programs["battery"] = program
        return program

    def add_cable(self, outlet: Outlet, *, manager: str) -> Program:
        """The daemon of one cable, with the instruments of its house."""
        plan, number = outlet.plan, outlet.plan.number
        name = f"cable-{number:02d}"
        folder = self.folder / "cables" / name
        ports = {part: f"{self.folder}/ports/house-{number:02d}-{part}" for part in _PORTS}
        files = self.identity(Kind.CABLE, name)
        settings: dict[str, dict[str, Any]] = {
            "tls": _tls(files),
            "manager": {"target": manager, "server_name": server_name(Kind.MANAGER, DOMAIN)},
            "journal": {"file": folder / "journal.db", "key": folder / "signing.pem"},
            "cable": {
                "rated_power_w": 1500,
                "driver_id": f"driver-{number:02d}",
                "vehicle_id": f"vehicle-{number:02d}",
                "period_s": PERIOD_S,
                "sample_s": SAMPLE_S,
                "max_gap_s": max(10.0, GAP_REAL_S * self.plan.speed),
                "clock_synchronised": True,
            },
            "meter": {"port": ports["meter"]},
            "site": {**_site_settings(plan), "port": ports["site"]},
            "position": {"driver": "nmea", "port": ports["gps"]},
            "contactor": {
                "driver": "rapi",
                "port": ports["board"],
                "state_s": 0.25 * self.plan.speed,
                "trip_s": 3 * SAMPLE_S,
                "blind_s": 30 * self.plan.speed,
            },
            "local": {"socket": folder / "cable.sock"},
            "session": _COMES_BACK,
            "clock": self._clock_settings(),
            "log": {"format": "json"},
        }
        if outlet.hems is not None:
            remote, local = outlet.hems_hosts
            settings["hems"] = {
                "driver": "echonet",
                "host": remote,
                "local_host": local,
                "coverage": "full",
                "poll_s": 60.0,
            }
        if plan.meter is SiteMeterKind.ROUTE_B:
            settings["site"]["credentials"] = _credentials(folder)
        program = Program("cable_node", folder, settings, ready=False)
        self.programs[name] = program
        return program

    def _add(self, name: str, module: str, kind: Kind, settings: dict[str, Any]) -> Program:
        files = self.identity(kind, "main")
        tables = {
            "tls": _tls(files),
            "clock": self._clock_settings(),
            "log": {"format": "json"},
            **settings,
        }
        program = Program(module, self.folder / name, tables)
        self.programs[name] = program
        return program

    def _clock_settings(self) -> dict[str, Any]:
        return {
            "speed": float(self.plan.speed),
            "origin": datetime.fromtimestamp(self.clock.origin_real_s, UTC).isoformat(),
            "simulated_origin": datetime.fromtimestamp(
                self.clock.origin_simulated_s, UTC
            ).isoformat(),
        }


# An hour passes in seconds: who is cut off must not be away for one.
_COMES_BACK = {"retry_first_s": 0.5, "retry_longest_s": 2.0, "stable_after_s": 2.0}
_PORTS = ("meter", "site", "gps", "board")


def _lead_real_s(cables: int) -> float:
    """How long it takes until all programs run: longer where the machine is slow, or busy."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import manager.assembly"], check=True)
    one_s = time.monotonic() - begin
    usual_s = LEAD_REAL_S + LEAD_REAL_S_PER_HOUSE * cables
    return min(MOST_LEAD_REAL_S, max(usual_s, LEAD_STARTS * one_s * (PROGRAMS + cables)))


def _tls(files: TlsFiles) -> dict[str, Any]:
    return {"certificate": files.certificate, "key": files.key, "roots": files.roots}


def _site_row(plan: HousePlan) -> str:
    place = plan.house.registered
    return f"{plan.house.site_id},{place.latitude_deg:.6f},{place.longitude_deg:.6f},6000,{AREA},"


def _site_settings(plan: HousePlan) -> dict[str, Any]:
    if plan.meter is SiteMeterKind.P1:
        return {"driver": "p1", "version": "5"}
    return {"driver": "route_b", "settle_s": 0.0, "request_interval_s": 60.0}


def _credentials(folder: Path) -> Path:
    """What the host gave the cable's owner."""
    plate = MeterPlate()
    path = folder / "route-b.toml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(f'route_b_id = "{plate.route_b_id}"\npassword = "{plate.password}"\n', "utf-8")
    return path


def scenario_notes(scenario: Scenario) -> str:
    """What is played, in a sentence."""
    return {
        Scenario.HONEST: "every house is honest",
        Scenario.FRAUD: "several houses cheat in different ways",
        Scenario.OUTAGE: "the manager is killed and links are cut while everything runs",
        Scenario.STORM: "all cables reconnect at a period boundary",
        Scenario.DAY: "a few houses cheat",
    }[scenario]
