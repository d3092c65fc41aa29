"""The VEN of OpenADR 2.0b: openleadr at both ends, over the loopback."""

from __future__ import annotations

import asyncio
import logging
import socket
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gridcord.units import Period
from market_adapter.domain.demand_response import LOWEST_PRIORITY, Setpoint, SetpointKind
from market_adapter.ports import FeedUnavailable
from tests.contract.trading_floors import eventually

pytest.importorskip("openleadr", reason="the extra `openadr2` is not installed")

from openleadr import OpenADRServer

from market_adapter.venues.openadr.ven2 import Ven2, Ven2Settings, setpoints_of

PERIOD = Period(1_800 * 1_000_000)
START = PERIOD.start.astimezone(UTC)
HALF_HOUR = timedelta(minutes=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def start_vtn(port: int, answers: list[str]) -> Any:
    """A VTN with one dispatch of two half hours for whoever registers."""
    vtn = OpenADRServer(
        vtn_id="vtn", http_port=port, requested_poll_freq=timedelta(milliseconds=200)
    )

    async def register(_info: Any) -> tuple[str, str]:
        return "ven-7", "registration-7"

    async def answered(ven_id: str, event_id: str, opt_type: str) -> None:
        del ven_id, event_id
        answers.append(opt_type)

    vtn.add_handler("on_create_party_registration", register)
    vtn.add_event(
        ven_id="ven-7",
        event_id="event-17",
        signal_name="LOAD_DISPATCH",
        signal_type="delta",
        intervals=[
            {"dtstart": START, "duration": HALF_HOUR, "signal_payload": -35.0},
            {"dtstart": START + HALF_HOUR, "duration": HALF_HOUR, "signal_payload": 20.0},
        ],
        callback=answered,
    )
    await vtn.run()
    return vtn


async def targets(ven: Ven2) -> list[tuple[int, str]]:
    signals = await ven.signals([PERIOD, PERIOD.next()])
    return [(int(s.value), s.source) for s in signals]


def test_a_dispatch_is_heard_answered_and_forgotten_when_it_is_cancelled() -> None:
    logging.getLogger("openleadr").setLevel(logging.ERROR)

    async def story() -> None:
        port, answers = free_port(), list[str]()
        vtn = await start_vtn(port, answers)
        ven = Ven2(
            Ven2Settings(
                url=f"http://127.0.0.1:{port}/OpenADR2/Simple/2.0b",
                ven_name="gridcord",
                area_id="tokyo",
                watts_per_level=10_000,
            )
        )
        await ven.start()
        await asyncio.wait_for(ven.changed.wait(), 60)
        assert await targets(ven) == [
            (-17_500, "openadr2:event-17"),
            (10_000, "openadr2:event-17"),
        ]
        await eventually(lambda: answers == ["optIn"])
        ven.changed.clear()
        vtn.cancel_event("ven-7", "event-17")
        await asyncio.wait_for(ven.changed.wait(), 60)
        assert await targets(ven) == []
        await ven.close()
        await vtn.stop()

    asyncio.run(story())


def test_a_vtn_that_is_away_is_asked_again_and_says_nothing_until_then() -> None:
    logging.getLogger("openleadr").setLevel(logging.CRITICAL)

    async def story() -> None:
        port = free_port()
        ven = Ven2(
            Ven2Settings(
                url=f"http://127.0.0.1:{port}/OpenADR2/Simple/2.0b",
                ven_name="gridcord",
                area_id="tokyo",
                watts_per_level=10_000,
            )
        )
        with pytest.raises(FeedUnavailable, match="did not register gridcord"):
            await targets(ven)
        await ven.close()
        vtn = await start_vtn(port, [])
        await targets(ven)  # registers by itself
        await asyncio.wait_for(ven.changed.wait(), 60)
        assert [wh for wh, _ in await targets(ven)] == [-17_500, 10_000]
        await ven.close()
        await vtn.stop()

    asyncio.run(story())


def event(**more: Any) -> dict[str, Any]:
    signal = {
        "signal_name": "LOAD_DISPATCH",
        "signal_type": "setpoint",
        "intervals": [{"duration": HALF_HOUR, "signal_payload": 4.5}],
        **more,
    }
    return {
        "event_descriptor": {"event_id": "e", "event_status": "far", "priority": 0},
        "active_period": {"dtstart": START},
        "event_signals": [signal],
    }


def expected(kind: SetpointKind, value: str, start_s: float, end_s: float) -> Setpoint:
    return Setpoint(
        source="openadr2:e",
        kind=kind,
        value=Decimal(value),
        start_s=PERIOD.start_s + start_s,
        end_s=PERIOD.start_s + end_s,
        priority=LOWEST_PRIORITY,
    )


def test_units_levels_and_times_that_follow_each_other() -> None:
    watts = {"name": "powerReal", "unit": "W", "scale": "none"}
    power, level = SetpointKind.POWER_CHANGE, SetpointKind.LEVEL
    assert setpoints_of(event()) == [expected(power, "4500.0", 0, 1800)]
    assert setpoints_of(event(measurement=watts)) == [expected(power, "4.5", 0, 1800)]
    intervals = [
        {"duration": HALF_HOUR, "signal_payload": 1},
        {"duration": timedelta(0), "signal_payload": 3},
    ]
    assert setpoints_of(event(signal_name="SIMPLE", signal_type="level", intervals=intervals)) == [
        expected(level, "1", 0, 1800),
        expected(level, "3", 1800, float("inf")),
    ]


def test_priority_one_is_the_highest_and_other_signals_are_left_out() -> None:
    urgent = event()
    urgent["event_descriptor"]["priority"] = 1
    assert [s.priority for s in setpoints_of(urgent)] == [1]
    assert setpoints_of(event(signal_name="CHARGE_STATE")) == []
    assert datetime.fromtimestamp(PERIOD.start_s, UTC) == START
