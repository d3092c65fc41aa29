"""A VEN of OpenADR 2.0b over the library `openleadr`, Japan's base profile.

An extra of the package: `pip install gridcord[openadr2]`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog
from openleadr import OpenADRClient

from gridcord.units import Period
from market_adapter.domain.demand import DemandSignal
from market_adapter.domain.demand_response import (
    LOWEST_PRIORITY,
    Setpoint,
    SetpointKind,
    signals_of,
)
from market_adapter.ports import FeedUnavailable

_SCALES = {"none": 1, "": 1, "k": 1_000, "M": 1_000_000, None: 1}
_OVER = frozenset({"cancelled", "completed"})
_KINDS = {
    ("LOAD_DISPATCH", "delta"): SetpointKind.POWER_CHANGE,
    ("LOAD_DISPATCH", "setpoint"): SetpointKind.POWER_CHANGE,
    ("SIMPLE", "level"): SetpointKind.LEVEL,
    ("simple", "level"): SetpointKind.LEVEL,
}
log = structlog.get_logger()

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ven2Settings:
    """Who we are to a VTN.

    Args:
        url: Base of its services, such as "https://vtn.example/OpenADR2/Simple/2.0b".
        ven_name: Our name.
        area_id: The area its events are about.
        watts_per_level: Change of consumption of one level of SIMPLE, W, > 0.
        certificate: File of our TLS certificate, None without one.
        key: File of its key.
        ca_file: File of the roots that the VTN's certificate must come from.
    """

    url: str
    ven_name: str
    area_id: str
    watts_per_level: int
    certificate: str | None = None
    key: str | None = None
    ca_file: str | None = None


class Ven2:
    """Listens to a VTN, which is asked by the library on its own.

    Args:
        settings: Who we are.
    """

    def __init__(self, settings: Ven2Settings) -> None:
        self.name = f"openadr2:{settings.ven_name}"
        self.changed = asyncio.Event()
        self._settings = settings
        self._events: dict[str, Event] = {}
        self._client: OpenADRClient | None = None

    async def start(self) -> None:
        """Register at the VTN, hear what stands, and listen.

        Raises:
            FeedUnavailable: The VTN did not register us; start again later.
        """
        client = self._new_client()
        self._events.clear()
        try:
            await client.run()  # logs what goes wrong, and then has no registration
        except BaseException:
            await client.stop()
            raise
        if not client.registration_id:
            message = f"the VTN at {self._settings.url} did not register {self._settings.ven_name}"
            raise FeedUnavailable(message)
        self._client = client

    async def close(self) -> None:
        """Listen no longer."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.stop()

    async def signals(self, periods: Sequence[Period]) -> Sequence[DemandSignal]:
        """Everything that the events heard so far say of periods.

        Raises:
            FeedUnavailable: The VTN does not register us, so nothing was heard yet.
        """
        if self._client is None:
            await self.start()
        setpoints = [s for event in self._events.values() for s in setpoints_of(event)]
        return signals_of(
            setpoints,
            area_id=self._settings.area_id,
            periods=periods,
            watts_per_level=self._settings.watts_per_level,
        )

    def _new_client(self) -> OpenADRClient:
        client = OpenADRClient(
            ven_name=self._settings.ven_name,
            vtn_url=self._settings.url,
            cert=self._settings.certificate,
            key=self._settings.key,
            ca_file=self._settings.ca_file,
            show_fingerprint=False,
        )
        client.add_handler("on_event", self._heard)
        client.add_handler("on_update_event", self._heard)
        return client

    async def _heard(self, event: Event) -> str:
        """Take an event or its change; returns whether we take part."""
        descriptor = event["event_descriptor"]
        if descriptor["event_status"] in _OVER:
            self._events.pop(descriptor["event_id"], None)
            opt = "optIn"
        elif setpoints_of(event):
            self._events[descriptor["event_id"]] = event
            opt = "optIn"
        else:
            log.warning("event.not_understood", id=descriptor["event_id"])
            self._events.pop(descriptor["event_id"], None)
            opt = "optOut"
        self.changed.set()
        return opt


def setpoints_of(event: Event) -> list[Setpoint]:
    """What an event asks for; signals that are not for us are left out."""
    descriptor = event["event_descriptor"]
    return [
        setpoint
        for signal in event["event_signals"]
        if (signal["signal_name"], signal["signal_type"]) in _KINDS
        for setpoint in _signal_setpoints(
            signal,
            source=f"openadr2:{descriptor['event_id']}",
            start_s=event["active_period"]["dtstart"].timestamp(),
            # 1 is the highest, 0 says nothing (EI 1.0 eventDescriptor.priority).
            priority=descriptor.get("priority") or LOWEST_PRIORITY,
        )
    ]


def _signal_setpoints(
    signal: Event, *, source: str, start_s: float, priority: int
) -> list[Setpoint]:
    kind = _KINDS[signal["signal_name"], signal["signal_type"]]
    scale = _watts(signal) if kind is SetpointKind.POWER_CHANGE else 1
    setpoints = []
    for interval in signal["intervals"]:
        begin_s = interval["dtstart"].timestamp() if interval.get("dtstart") else start_s
        duration: timedelta = interval["duration"]
        start_s = begin_s + duration.total_seconds()
        setpoints.append(
            Setpoint(
                source=source,
                kind=kind,
                value=Decimal(str(interval["signal_payload"])) * scale,
                start_s=begin_s,
                # A duration of 0 means without end (2.0b profile, 8.1).
                end_s=start_s if duration else float("inf"),
                priority=priority,
            )
        )
    return setpoints


def _watts(signal: Event) -> int:
    """Watts of one unit of a signal: kW unless it says otherwise."""
    measurement = signal.get("measurement")
    return 1_000 if not measurement else _SCALES[measurement.get("scale")]
