"""The instruments that the settings name, as ports."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from cable_node.drivers.echonet_hems import EchonetHems
from cable_node.drivers.echonet_hems import HemsSettings as EchonetSettings
from cable_node.drivers.modbus_meter import ModbusMeter, ModbusMeterSettings
from cable_node.drivers.nmea_gps import GpsSettings, NmeaGps
from cable_node.drivers.p1 import P1Meter, P1Settings
from cable_node.drivers.rapi_contactor import RapiContactor, RapiSettings
from cable_node.drivers.route_b import RouteB
from cable_node.drivers.route_b_session import RouteBCredentials, RouteBSettings
from cable_node.ports import CableMeter, Contactor, HomeEnergy, Positioning, SiteMeter
from cable_node.settings import CableNodeSettings, SiteSettings
from gridcord.chassis.clock import Clock


class CredentialsMissing(Exception):
    """The site's meter needs credentials that nobody gave yet: a normal state, not a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """What the node measures with; None where the settings name none.

    Args:
        meter: The calibrated meter in the cable.
        hems: The home energy manager.
        positioning: The GPS receiver.
        contactor: The board that lets current flow.
    """

    meter: CableMeter
    hems: HomeEnergy | None
    positioning: Positioning | None
    contactor: Contactor | None

    async def close(self) -> None:
        """Release all lines; the contactor opens."""
        for instrument in (self.contactor, self.meter, self.hems, self.positioning):
            if instrument is not None:
                await instrument.close()


def open_instruments(settings: CableNodeSettings, clock: Clock) -> Instruments:
    """The instruments but the site's meter, which may need credentials first."""
    meter, hems, contactor = settings.meter, settings.hems, settings.contactor
    return Instruments(
        meter=ModbusMeter(
            ModbusMeterSettings(
                port=meter.port,
                unit=meter.unit,
                baudrate=meter.baudrate,
                model=meter.model,
                step_wh=meter.step_wh,
                max_power_w=settings.cable.rated_power_w * 2,
                timeout_s=meter.timeout_s,
            ),
            clock,
        ),
        hems=EchonetHems(
            EchonetSettings(
                host=hems.host,
                port=hems.port,
                local_host=hems.local_host,
                local_port=hems.local_port,
            ),
            clock,
        )
        if hems.driver == "echonet"
        else None,
        positioning=NmeaGps(
            GpsSettings(port=settings.position.port, baudrate=settings.position.baudrate), clock
        )
        if settings.position.driver == "nmea"
        else None,
        contactor=RapiContactor(RapiSettings(port=contactor.port, watchdog_s=contactor.watchdog_s))
        if contactor.driver == "rapi"
        else None,
    )


def open_site_meter(
    settings: SiteSettings, clock: Clock, access: RouteBCredentials | None
) -> SiteMeter | None:
    """The site's meter; None where the settings name none.

    Args:
        settings: Which.
        clock: Of the node.
        access: Credentials that the manager handed over; those of the settings come first.

    Raises:
        CredentialsMissing: It needs credentials that nobody gave.
    """
    if settings.driver == "p1":
        return P1Meter(P1Settings(port=settings.port, version=settings.version))
    if settings.driver == "route_b":
        known = _credentials(settings) or access
        if known is None:
            raise CredentialsMissing("route B needs the site's identification and password")
        route_b = RouteBSettings(
            port=settings.port,
            settle_s=settings.settle_s,
            request_interval_s=settings.request_interval_s,
        )
        return RouteB(route_b, known, clock)
    return None


def _credentials(settings: SiteSettings) -> RouteBCredentials | None:
    if settings.credentials is None:
        return None
    return RouteBCredentials.from_mapping(tomllib.loads(settings.credentials.read_text("utf-8")))
