"""A VEN of OpenADR 3.1 over the library `openadr3`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import structlog
from openadr3 import OpenADRClient

from gridcord.units import Period
from market_adapter.domain.demand import DemandSignal
from market_adapter.domain.demand_response import Setpoint, signals_of
from market_adapter.ports import FeedUnavailable
from market_adapter.venues.openadr.events import EventError, setpoints_of

_PAGE = 50  # the most the specification allows
_AGGREGATED = "AGGREGATED_REPORT"
Json = Mapping[str, Any]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class VenSettings:
    """Who we are to a VTN.

    Args:
        url: Base of its API, such as "https://vtn.example/openadr3/3.1.0".
        client_id: OAuth2 client credentials.
        client_secret: Likewise.
        ven_name: Our name, unique at the VTN.
        program_names: Programs we listen to.
        area_id: The area their events are about.
        watts_per_level: Change of consumption of one level of CONTROL_LEVEL_OFFSET, W, > 0.
    """

    url: str
    client_id: str
    client_secret: str
    ven_name: str
    program_names: tuple[str, ...]
    area_id: str
    watts_per_level: int


class Ven3:
    """Listens to programs of a VTN.

    Args:
        settings: Who we are.
    """

    def __init__(self, settings: VenSettings) -> None:
        self.name = f"openadr3:{settings.ven_name}"
        self._settings = settings
        self._client = OpenADRClient(settings.url, client_type="ven")
        self._has_token = False
        self._is_registered = False

    async def signals(self, periods: Sequence[Period]) -> Sequence[DemandSignal]:
        """Everything the programs' events say now of periods.

        Raises:
            FeedUnavailable: The VTN cannot be asked.
        """
        setpoints = await asyncio.to_thread(self._setpoints)
        return signals_of(
            setpoints,
            area_id=self._settings.area_id,
            periods=periods,
            watts_per_level=self._settings.watts_per_level,
        )

    async def report_energy(self, *, event_id: str, period: Period, into_fleet_wh: int) -> None:
        """Tell what the fleet did in a period of an event, all vehicles together.

        Args:
            event_id: The event.
            period: The period.
            into_fleet_wh: Energy taken (+) or given (-), Wh.

        Raises:
            FeedUnavailable: The VTN did not take it.
        """
        body = {
            "eventID": event_id,
            "clientName": self._settings.ven_name,
            "payloadDescriptors": [
                {
                    "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
                    "payloadType": "USAGE",
                    "readingType": "DIRECT_READ",
                    "units": "KWH",
                }
            ],
            "resources": [
                {
                    "resourceName": _AGGREGATED,
                    "intervalPeriod": {"start": str(period), "duration": f"PT{period.length_s}S"},
                    "intervals": [
                        {
                            "id": 0,
                            "payloads": [{"type": "USAGE", "values": [into_fleet_wh / 1000]}],
                        }
                    ],
                }
            ],
        }
        await asyncio.to_thread(self._ask, lambda: self._client.create_report(body))

    async def close(self) -> None:
        """Close the connection."""
        await asyncio.to_thread(self._client.close)

    def _setpoints(self) -> list[Setpoint]:
        self._register()
        setpoints = []
        for program in self._all(self._client.get_programs):
            if program.get("programName") in self._settings.program_names:
                for event in self._all(self._client.get_events, programID=program["id"]):
                    setpoints += _heard(event, program)
        return setpoints

    def _register(self) -> None:
        """Be known to the VTN by our name, once."""
        if self._is_registered:
            return
        name = self._settings.ven_name
        known = self._all(self._client.get_vens, venName=name)
        if not any(ven.get("venName") == name for ven in known):
            body = {"objectType": "VEN_VEN_REQUEST", "venName": name}
            self._ask(lambda: self._client.create_ven(body))
        self._is_registered = True

    def _all(self, search: Callable[..., httpx.Response], **filters: str) -> Iterator[Json]:
        """Every object of a list, page by page."""
        skip = 0
        while True:
            page = self._ask(partial(search, skip=skip, limit=_PAGE, **filters))
            yield from page
            if len(page) < _PAGE:
                return
            skip += _PAGE

    def _ask(self, call: Callable[[], httpx.Response]) -> Any:
        try:
            if not self._has_token:
                self._fetch_token()
            response = call()
            if response.status_code == httpx.codes.UNAUTHORIZED:  # the token ran out
                self._fetch_token()
                response = call()
            response.raise_for_status()
            return response.json()
        except (httpx.HTTPError, ValueError, KeyError) as error:
            message = f"the VTN at {self._settings.url}: {error!r}"
            raise FeedUnavailable(message) from error

    def _fetch_token(self) -> None:
        self._client.fetch_token(self._settings.client_id, self._settings.client_secret)
        self._has_token = True


def _heard(event: Json, program: Json) -> list[Setpoint]:
    try:
        return setpoints_of(event, program=program)
    except EventError as error:
        log.warning("event.not_understood", cause=str(error))
        return []
