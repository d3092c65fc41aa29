"""The VEN of OpenADR 3.1 against our VTN, and both against the specification."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from gridcord.simulation.vtn import Handler, Vtn, setpoint_event
from gridcord.testing.clock import ManualClock
from gridcord.units import Period
from market_adapter.domain.demand import SignalKind
from market_adapter.domain.demand_response import LOWEST_PRIORITY, Setpoint, SetpointKind
from market_adapter.ports import FeedUnavailable
from market_adapter.storage.store import MarketStore
from market_adapter.usecases.listening import listen_once
from market_adapter.venues.openadr.events import EventError, setpoints_of
from market_adapter.venues.openadr.ven3 import Ven3, VenSettings
from tests.reference_data import reference

PERIOD = Period(1_800 * 1_000_000)
CLIENTS = {"bl": "top secret", "ven-7": "secret"}
PROGRAM = {"programName": "flexibility"}


@dataclass
class Tape:
    """Everything that went over the wire."""

    taken: list[tuple[web.Request, bytes, int, bytes]] = field(default_factory=list)

    def middleware(self) -> Any:
        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            body = await request.read()
            response = await handler(request)
            assert isinstance(response, web.Response)
            assert isinstance(response.body, bytes)
            self.taken.append((request, body, response.status, response.body))
            return response

        return record


Story = Callable[[Vtn, Ven3], Awaitable[None]]


def play(story: Story, *, tape: Tape | None = None) -> None:
    async def run() -> None:
        vtn = Vtn(
            clock=ManualClock(PERIOD.start_s),
            clients=CLIENTS,
            middlewares=[tape.middleware()] if tape else [],
        )
        await vtn.start()
        ven = Ven3(
            VenSettings(
                url=vtn.url,
                client_id="ven-7",
                client_secret="secret",
                ven_name="gridcord-tokyo",
                program_names=("flexibility",),
                area_id="tokyo",
                watts_per_level=10_000,
            )
        )
        try:
            await story(vtn, ven)
        finally:
            await ven.close()
            await vtn.stop()

    asyncio.run(run())


async def heard(ven: Ven3, periods: int = 2) -> dict[tuple[SignalKind, int], int]:
    signals = await ven.signals([PERIOD.next(n) for n in range(periods)])
    return {
        (s.kind, (s.period.start_s - PERIOD.start_s) // PERIOD.length_s): int(s.value)
        for s in signals
    }


def test_an_event_of_the_vtn_becomes_activations_and_its_end_takes_them_away() -> None:
    async def story(vtn: Vtn, ven: Ven3) -> None:
        program = vtn.put("programs", PROGRAM)
        other = vtn.put("programs", {"programName": "not for us"})
        event = vtn.put(
            "events", setpoint_event(program_id=program, first=PERIOD, kilowatts=[-35.0, 20.0])
        )
        vtn.put("events", setpoint_event(program_id=other, first=PERIOD, kilowatts=[1.0]))
        assert await heard(ven) == {
            (SignalKind.ACTIVATION, 0): -17_500,
            (SignalKind.ACTIVATION, 1): 10_000,
        }
        assert [v["venName"] for v in vtn.objects["vens"].values()] == ["gridcord-tokyo"]
        del vtn.objects["events"][event]
        assert await heard(ven) == {}
        assert len(vtn.objects["vens"]) == 1

    play(story)


def test_events_beyond_one_page_are_all_heard() -> None:
    async def story(vtn: Vtn, ven: Ven3) -> None:
        program = vtn.put("programs", PROGRAM)
        for number in range(120):
            first = PERIOD.next(number)
            vtn.put("events", setpoint_event(program_id=program, first=first, kilowatts=[-2.0]))
        assert await heard(ven, periods=130) == {
            (SignalKind.ACTIVATION, number): -1_000 for number in range(120)
        }

    play(story)


def test_a_token_that_ran_out_is_replaced_and_a_wrong_secret_is_told() -> None:
    async def story(vtn: Vtn, ven: Ven3) -> None:
        program = vtn.put("programs", PROGRAM)
        vtn.put("events", setpoint_event(program_id=program, first=PERIOD, kilowatts=[4.0]))
        first = await heard(ven)
        vtn.expire_tokens()
        assert await heard(ven) == first
        vtn.clients = {}
        vtn.expire_tokens()
        with pytest.raises(FeedUnavailable):
            await heard(ven)

    play(story)


def test_what_the_feed_said_last_stands_while_it_is_away(tmp_path: Path) -> None:
    async def story(vtn: Vtn, ven: Ven3) -> None:
        program = vtn.put("programs", PROGRAM)
        vtn.put("events", setpoint_event(program_id=program, first=PERIOD, kilowatts=[-35.0, -1.0]))
        store, clock = MarketStore(tmp_path / "market.sqlite"), ManualClock(PERIOD.start_s + 5)

        async def once() -> bool:
            return await listen_once(
                feed=ven, store=store, clock=clock, period_length_s=1800, horizon=4
            )

        assert await once()
        targets = {d.period: d.target_wh for d in store.demands().values}
        assert targets == {PERIOD: -17_500, PERIOD.next(): -500}
        assert all(d.is_activation for d in store.demands().values)

        await vtn.stop()
        assert not await once()
        assert {d.period: d.target_wh for d in store.demands().values} == targets

        await vtn.start()
        ven._client.base_url = vtn.url
        ven._client._http.base_url = vtn.url
        vtn.objects["events"].clear()
        clock.step(1800)  # the first period is over: what was asked of it stays asked
        assert await once()
        assert {d.period: d.target_wh for d in store.demands().values} == {
            PERIOD: -17_500,
            PERIOD.next(): 0,
        }
        store.close()

    play(story)


def event(**more: Any) -> dict[str, Any]:
    return {"id": "e1", "programID": "p", "objectType": "EVENT", **more}


def interval(kind: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"id": 0, "payloads": [{"type": kind, "values": [value]}], **more}


WHEN = {"start": str(PERIOD), "duration": "PT30M"}


def of(payload_type: str, **more: Any) -> dict[str, Any]:
    return {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": payload_type, **more}


@pytest.mark.parametrize(
    ("payload", "descriptor", "kind", "value"),
    [
        (("CONTROL_SETPOINT", -0.15), of("CONTROL_SETPOINT", units="KW"), "POWER_CHANGE", "-150"),
        (("DISPATCH_SETPOINT", 20), None, "POWER_CHANGE", "20000"),
        (("DISPATCH_SETPOINT", -20), None, "POWER_CHANGE", "-20000"),  # leniently
        (("DISPATCH_SETPOINT_RELATIVE", -35), None, "POWER_CHANGE", "-35000"),
        (("CONTROL_LEVEL_OFFSET", 3), None, "LEVEL", "3"),
        (("SIMPLE", 2), None, "LEVEL", "2"),
        (("IMPORT_CAPACITY_LIMIT", 12.5), None, "IMPORT_LIMIT", "12500"),
        (("EXPORT_CAPACITY_LIMIT", 0), None, "EXPORT_LIMIT", "0"),
        (("PRICE", 18.06), of("PRICE", units="KWH", currency="JPY"), "PRICE", "18060000"),
    ],
)
def test_payloads_mean_setpoints(
    payload: tuple[str, Any], descriptor: dict[str, Any] | None, kind: str, value: str
) -> None:
    descriptors = [descriptor] if descriptor else None
    [setpoint] = setpoints_of(
        event(intervalPeriod=WHEN, intervals=[interval(*payload)], payloadDescriptors=descriptors),
        program={},
    )
    assert setpoint == Setpoint(
        source="openadr3:e1",
        kind=SetpointKind(kind),
        value=Decimal(value),
        start_s=PERIOD.start_s,
        end_s=PERIOD.end_s,
        priority=LOWEST_PRIORITY,
        unit="JPY micros/kWh" if kind == "PRICE" else "",
    )


def test_payloads_of_other_kinds_are_left_out_and_the_programs_units_hold() -> None:
    program = {"payloadDescriptors": [of("CONTROL_SETPOINT", units="W")]}
    found = setpoints_of(
        event(
            intervalPeriod=WHEN,
            intervals=[interval("GHG", 1), interval("CONTROL_SETPOINT", 500), interval("X", "y")],
        ),
        program=program,
    )
    assert [s.value for s in found] == [Decimal(500)]


def times(found: list[Setpoint]) -> list[tuple[float, float]]:
    return [(s.start_s - PERIOD.start_s, s.end_s - PERIOD.start_s) for s in found]


def test_intervals_follow_each_other_unless_they_say_their_own_time() -> None:
    found = setpoints_of(
        event(
            intervalPeriod=WHEN,
            intervals=[
                interval("SIMPLE", 1),
                interval("SIMPLE", 2, intervalPeriod={"duration": "PT10M"}),
                interval("SIMPLE", 3),
                interval("SIMPLE", 0, intervalPeriod={"start": str(PERIOD.next(9))}),
            ],
        ),
        program={},
    )
    assert times(found) == [(0, 1800), (1800, 2400), (2400, 4200), (16_200, 18_000)]


def test_an_event_that_lasts_longer_repeats_its_intervals() -> None:
    found = setpoints_of(
        event(
            intervalPeriod=WHEN,
            duration="PT1H45M",
            intervals=[interval("SIMPLE", 1), interval("SIMPLE", 2)],
        ),
        program={},
    )
    assert times(found) == [(0, 1800), (1800, 3600), (3600, 5400), (5400, 6300)]


def test_now_and_for_ever_are_understood() -> None:
    always = {"start": "0001-01-01T00:00:00Z", "duration": "P9999Y"}
    [found] = setpoints_of(
        event(intervalPeriod=always, intervals=[interval("IMPORT_CAPACITY_LIMIT", 5)]), program={}
    )
    assert (found.start_s, found.end_s) == (-math.inf, math.inf)


def test_now_is_when_the_vtn_made_the_event() -> None:
    soon = {"start": "0001-01-01", "duration": "PT10M"}
    made = event(intervalPeriod=soon, intervals=[interval("SIMPLE", 1)])
    with pytest.raises(EventError):
        setpoints_of(made, program={})
    found = setpoints_of({**made, "createdDateTime": str(PERIOD)}, program={})
    assert times(found) == [(0, 600)]


@pytest.mark.parametrize(
    "broken",
    [
        event(intervals=[interval("SIMPLE", 1)]),
        event(intervalPeriod={"start": "soon"}, intervals=[interval("SIMPLE", 1)]),
        event(intervalPeriod=WHEN, intervals=[interval("SIMPLE", "one")]),
        event(intervalPeriod=WHEN, intervals=[interval("SIMPLE", True)]),
        event(intervalPeriod=WHEN, intervals=[interval("CONTROL_LEVEL_OFFSET", 11)]),
        event(intervalPeriod=WHEN, intervals=[interval("CONTROL_LEVEL_OFFSET", 0.5)]),
        event(intervalPeriod=WHEN, intervals=[interval("IMPORT_CAPACITY_LIMIT", -1)]),
        event(intervalPeriod=WHEN, intervals=[interval("CONTROL_SETPOINT", math.nan)]),
        event(intervalPeriod=WHEN, intervals=[interval("PRICE", 1)]),
        event(intervalPeriod=WHEN, intervals=[{"id": 0}]),
        event(intervalPeriod=WHEN, intervals="all"),
        {},
    ],
)
def test_an_event_that_is_broken_is_not_heard_at_all(broken: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        setpoints_of(broken, program={})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELDS = ("id", "priority", "duration", "intervalPeriod", "intervals", "payloadDescriptors")


@given(st.sampled_from(FIELDS), JSON)
def test_whatever_an_event_holds_it_is_heard_or_refused(key: str, value: Any) -> None:
    broken = event(intervalPeriod=WHEN, intervals=[interval("CONTROL_SETPOINT", 1.5)])
    broken[key] = value
    with contextlib.suppress(EventError):
        assert isinstance(setpoints_of(broken, program={}), list)


def test_a_broken_event_does_not_silence_the_others() -> None:
    async def story(vtn: Vtn, ven: Ven3) -> None:
        program = vtn.put("programs", PROGRAM)
        vtn.put("events", {"programID": program, "intervals": [{"id": 0}]})
        vtn.put("events", setpoint_event(program_id=program, first=PERIOD, kilowatts=[2.0]))
        assert await heard(ven) == {(SignalKind.ACTIVATION, 0): 1_000}

    play(story)


def specification() -> OpenAPI:
    """The published OpenAPI file, with two slips of it mended.

    A default that was meant to be null is the text "null          -"; and the `ven` object must
    have two different values of `objectType` at once, so that no VEN could be valid.
    """
    text = reference("formats/openadr-3.1/openadr3-3.1.0.yaml").read_text("utf-8")
    spec = yaml.safe_load(text.replace("default: null          -", "default: null"))
    spec["components"]["schemas"]["BlVenRequest"]["properties"]["objectType"]["enum"].append("VEN")
    spec["servers"] = [{"url": "http://localhost"}]
    return OpenAPI.from_dict(spec)


def test_every_word_of_vtn_and_ven_is_valid_by_the_specification() -> None:
    spec, tape = specification(), Tape()

    async def story(vtn: Vtn, ven: Ven3) -> None:
        program = vtn.put("programs", PROGRAM)
        number = vtn.put(
            "events", setpoint_event(program_id=program, first=PERIOD, kilowatts=[-35.0, 20.0])
        )
        await heard(ven)
        await ven.report_energy(event_id=number, period=PERIOD, into_fleet_wh=-17_480)
        [report] = vtn.objects["reports"].values()
        assert report["resources"][0]["intervals"][0]["payloads"][0]["values"] == [-17.48]
        vtn.clients = {}
        vtn.expire_tokens()
        with pytest.raises(FeedUnavailable):
            await heard(ven)

    play(story, tape=tape)
    seen = set()
    for request, body, status, answer in tape.taken:
        seen.add((request.method, request.path, status))
        sent = MockRequest(
            "http://localhost",
            request.method.lower(),
            request.path,
            args=dict(request.query),
            headers=dict(request.headers),
            data=body,
            content_type=request.content_type,
        )
        if request.path != "/auth/token":  # form fields; a wrong secret is no schema's matter
            spec.validate_request(sent)
        spec.validate_response(sent, MockResponse(answer, status_code=status))
    assert {
        ("GET", "/auth/server", 200),
        ("POST", "/auth/token", 200),
        ("POST", "/auth/token", 401),
        ("GET", "/programs", 200),
        ("GET", "/events", 200),
        ("POST", "/vens", 201),
        ("POST", "/reports", 201),
        ("GET", "/programs", 401),
    } <= seen


def test_what_we_emit_is_valid_by_the_enumerations_and_a_negative_dispatch_would_not_be() -> None:
    path = reference("formats/openadr-3.1/event-interval-payloads.schema.yaml")
    kinds = yaml.safe_load(path.read_text("utf-8"))["definitions"]
    for kind in kinds.values():
        kind.pop("$id", None)

    def is_valid(payload: dict[str, Any]) -> bool:
        schema = dict(kinds[payload["type"]])
        if payload["type"] == "CONTROL_SETPOINT":
            schema["items"] = {"oneOf": [schema["items"]["oneOf"][0]]}  # refs point elsewhere
        return bool(Draft202012Validator(schema).is_valid(payload["values"]))

    sent = setpoint_event(program_id="p", first=PERIOD, kilowatts=[-35.0, 20.0, 0.0])
    payloads = [payload for i in sent["intervals"] for payload in i["payloads"]]
    assert [payload["type"] for payload in payloads] == ["CONTROL_SETPOINT"] * 3
    assert all(is_valid(payload) for payload in payloads)
    assert not is_valid({"type": "DISPATCH_SETPOINT", "values": [-35.0]})
    assert json.loads(json.dumps(sent)) == sent
