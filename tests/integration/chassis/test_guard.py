"""What stands around every handler, seen from the caller's side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from gridcord.chassis.authorization import ANYBODY, Policy
from gridcord.chassis.failures import (
    INTERNAL,
    MALFORMED_MESSAGE,
    Failure,
    FailureTable,
)
from gridcord.chassis.guard import NOT_IMPLEMENTED, NOT_PERMITTED
from gridcord.chassis.identity import Kind, caller
from gridcord.chassis.logging import configure_logging
from gridcord.chassis.sections import LogSettings
from gridcord.chassis.streams import FIRST_MESSAGE_LATE, FIRST_MESSAGE_MISSING, first_message
from tests.integration.chassis.loopback import (
    CABLE,
    COUNT,
    ECHO,
    SERVICE,
    WHO,
    Pki,
    bidirectional,
    failure,
    serving,
    unary,
)

SECRET = "the password is hunter2"

MESSAGES: dict[str, Any] = {
    "request_deserializer": StringValue.FromString,
    "response_serializer": StringValue.SerializeToString,
}


class OutOfCopper(Exception):
    """An anticipated failure of a service."""

    def __init__(self, metres: int) -> None:
        super().__init__(f"{metres} m are missing")
        self.metadata = {"metres": str(metres)}


async def breaks(request: Any, context: Any) -> Any:
    raise ValueError(SECRET)


async def breaks_streaming(requests: Any, context: Any) -> AsyncIterator[bytes]:
    yield b"so far so good"
    raise ValueError(SECRET)


async def breaks_writing(request: Any, context: Any) -> None:
    await context.write(b"so far so good")
    raise ValueError(SECRET)


async def answers_nonsense(request: Any, context: Any) -> str:
    return SECRET  # no message: it cannot be serialised


async def streams_nonsense(request: Any, context: Any) -> AsyncIterator[str]:
    yield SECRET


async def misuses(request: Any, context: Any) -> bytes:
    await context.send_initial_metadata(())
    await context.send_initial_metadata(())  # raises grpc.aio.UsageError
    return b""


BROKEN = {
    "unary": (WHO, unary(breaks)),
    "generator": (ECHO, bidirectional(breaks_streaming)),
    "writer": (COUNT, grpc.unary_stream_rpc_method_handler(breaks_writing)),
    "stream of requests": (ECHO, grpc.stream_unary_rpc_method_handler(breaks)),
    "serialising": (WHO, unary(answers_nonsense, **MESSAGES)),
    "serialising a stream": (
        COUNT,
        grpc.unary_stream_rpc_method_handler(streams_nonsense, **MESSAGES),
    ),
    "misuse": (WHO, unary(misuses)),
}


def invoke(channel: Any, handler: Any, method: str) -> Any:
    """Call a method of whatever shape with empty bytes."""
    if handler.request_streaming:
        kind = channel.stream_stream if handler.response_streaming else channel.stream_unary
        return kind(method)(iter([b""]), timeout=30)
    kind = channel.unary_stream if handler.response_streaming else channel.unary_unary
    return kind(method)(b"", timeout=30)


@pytest.mark.parametrize(("method", "handler"), BROKEN.values(), ids=BROKEN)
def test_a_bug_is_logged_once_and_its_text_withheld(pki: Pki, method: str, handler: Any) -> None:
    out = StringIO()
    configure_logging(LogSettings(format="json"), program="test", stream=out)

    async def scenario() -> Failure:
        async with serving(pki, handlers={method: handler}) as served, served.channel() as channel:
            return await failure(invoke(channel, handler, method))

    told = asyncio.run(scenario())
    assert (told.code, told.reason) == (grpc.StatusCode.INTERNAL, INTERNAL)
    assert told.message == f"internal error {told.metadata['correlation_id']}"
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    broken = [line for line in lines if "exception" in line]
    assert len(broken) == 1
    assert broken[0]["event"] == "rpc.broken"
    assert broken[0]["correlation_id"] == told.metadata["correlation_id"]
    assert broken[0]["peer"] == CABLE
    assert "Traceback" in broken[0]["exception"]


def test_an_anticipated_exception_is_told_as_its_service_says(pki: Pki) -> None:
    table = FailureTable({OutOfCopper: (grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_COPPER")})

    async def build(request: bytes, context: Any) -> bytes:
        raise OutOfCopper(7)

    async def scenario() -> Failure:
        handlers = {WHO: unary(build)}
        async with (
            serving(pki, handlers=handlers, failures=table) as served,
            served.channel() as channel,
        ):
            return await failure(channel.unary_unary(WHO)(b""))

    told = asyncio.run(scenario())
    assert (told.code, told.reason, told.message, told.metadata) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "OUT_OF_COPPER",
        "7 m are missing",
        {"metres": "7"},
    )


def test_a_method_that_nobody_decided_about_is_refused(pki: Pki) -> None:
    reached: list[bytes] = []

    async def new(request: bytes, context: Any) -> bytes:
        reached.append(request)
        return b""

    async def scenario() -> Failure:
        handlers = {WHO: unary(new), ECHO: unary(new)}
        async with (
            serving(pki, handlers=handlers, policy=Policy({ECHO: ANYBODY})) as served,
            served.channel() as channel,
        ):
            return await failure(channel.unary_unary(WHO)(b""))

    told = asyncio.run(scenario())
    assert (told.code, told.reason) == (grpc.StatusCode.PERMISSION_DENIED, NOT_PERMITTED)
    assert not reached


def test_a_stranger_cannot_have_his_bytes_parsed(pki: Pki) -> None:
    parsed: list[bytes] = []

    def parse(content: bytes) -> bytes:
        parsed.append(content)
        return content

    async def scenario() -> str:
        handlers = {WHO: unary(breaks, request_deserializer=parse)}
        policy = Policy({WHO: frozenset({Kind.MARKET})})
        async with (
            serving(pki, handlers=handlers, policy=policy) as served,
            served.channel() as channel,
        ):
            return (await failure(channel.unary_unary(WHO)(b"\xff"))).reason

    assert asyncio.run(scenario()) == NOT_PERMITTED
    assert not parsed


@pytest.mark.parametrize("content", [b"\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7fx"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_message_that_cannot_be_parsed_is_the_callers_fault(
    pki: Pki, content: bytes, streaming: bool
) -> None:
    async def one(request: StringValue, context: Any) -> StringValue:
        return request

    async def many(requests: Any, context: Any) -> AsyncIterator[StringValue]:
        async for request in requests:
            yield request

    handler = bidirectional(many, **MESSAGES) if streaming else unary(one, **MESSAGES)

    async def scenario() -> Failure:
        async with serving(pki, handlers={WHO: handler}) as served, served.channel() as channel:
            call: Any = (
                channel.stream_stream(WHO)(iter([content]))
                if streaming
                else channel.unary_unary(WHO)(content)
            )
            return await failure(call)

    told = asyncio.run(scenario())
    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, MALFORMED_MESSAGE)


def test_a_handler_may_answer_by_itself(pki: Pki) -> None:
    async def refuse(request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, "too far")
        return b""

    async def scenario() -> tuple[Failure, float | None]:
        async with (
            serving(pki, handlers={WHO: unary(refuse)}) as served,
            served.channel() as channel,
        ):
            told = await failure(channel.unary_unary(WHO)(b""))
            labels = {"grpc_method": WHO, "grpc_status": "OUT_OF_RANGE"}
            name = "grpc_server_call_duration_seconds_count"
            counted = None
            for _ in range(3_000):  # the caller hears of it before it is counted
                if (counted := served.registry.get_sample_value(name, labels)) is not None:
                    break
                await asyncio.sleep(0.01)
            return told, counted

    told, counted = asyncio.run(scenario())
    assert (told.code, told.reason) == (grpc.StatusCode.OUT_OF_RANGE, "OUT_OF_RANGE")
    assert counted == 1


def test_a_call_that_answers_while_it_is_ended_answers_once(
    pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    ended = asyncio.Event()

    async def refuse(request: bytes, context: Any) -> bytes:
        try:
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, "too far")
        finally:
            ended.set()
            raise RuntimeError  # as a cancellation would be, in the middle of the answer
        return b""

    async def scenario() -> Failure:
        async with (
            serving(pki, handlers={WHO: unary(refuse)}) as served,
            served.channel() as channel,
        ):
            told = await failure(channel.unary_unary(WHO)(b""))
            await ended.wait()
            return told

    told = asyncio.run(scenario())
    assert (told.code, told.reason) == (grpc.StatusCode.OUT_OF_RANGE, "OUT_OF_RANGE")
    assert "UsageError" not in caplog.text


def test_a_handler_may_answer_from_a_task_of_its_own(pki: Pki) -> None:
    async def refuse(request: bytes, context: Any) -> bytes:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(context.abort(grpc.StatusCode.OUT_OF_RANGE, "too far"))
            await asyncio.Event().wait()
        return b""

    async def scenario() -> Failure:
        handlers = {WHO: unary(refuse)}
        async with serving(pki, handlers=handlers) as served, served.channel() as channel:
            return await failure(channel.unary_unary(WHO)(b""))

    assert asyncio.run(scenario()).code is grpc.StatusCode.OUT_OF_RANGE


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ([OutOfCopper(1)], "OUT_OF_COPPER"),
        ([OutOfCopper(1), Failure(grpc.StatusCode.ABORTED, "LOST", "x")], "OUT_OF_COPPER"),
        ([OutOfCopper(1), ValueError(SECRET)], INTERNAL),
        ([ExceptionGroup("inner", [OutOfCopper(1)])], "OUT_OF_COPPER"),
    ],
)
def test_failures_of_a_handlers_tasks_are_anticipated_too(
    pki: Pki, errors: list[Exception], reason: str
) -> None:
    table = FailureTable({OutOfCopper: (grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_COPPER")})

    async def build(request: bytes, context: Any) -> bytes:
        message = "tasks"
        raise ExceptionGroup(message, errors)

    async def scenario() -> str:
        handlers = {WHO: unary(build)}
        async with (
            serving(pki, handlers=handlers, failures=table) as served,
            served.channel() as channel,
        ):
            return (await failure(channel.unary_unary(WHO)(b""))).reason

    assert asyncio.run(scenario()) == reason


def test_a_method_that_a_servicer_does_not_have_is_unimplemented(pki: Pki) -> None:
    """As generated servicers say it: a plain function that sets the code and raises."""

    def generated(request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("Method not implemented!")
        raise NotImplementedError

    async def scenario() -> Failure:
        handlers = {WHO: unary(generated)}
        async with serving(pki, handlers=handlers) as served, served.channel() as channel:
            return await failure(channel.unary_unary(WHO)(b""))

    told = asyncio.run(scenario())
    assert (told.code, told.reason) == (grpc.StatusCode.UNIMPLEMENTED, NOT_IMPLEMENTED)


def test_an_unknown_method_is_unimplemented(pki: Pki) -> None:
    async def scenario() -> grpc.StatusCode:
        async with serving(pki) as served, served.channel() as channel:
            return (await failure(channel.unary_unary("/no.Such/Method")(b""))).code

    assert asyncio.run(scenario()) is grpc.StatusCode.UNIMPLEMENTED


def test_every_call_leaves_one_line_and_is_counted(pki: Pki) -> None:
    out = StringIO()
    configure_logging(LogSettings(format="json"), program="test", stream=out)

    async def scenario() -> Any:
        async with serving(pki) as served, served.channel() as channel:
            async for _ in channel.unary_stream(COUNT)(b"3"):
                pass
            return served.registry.get_sample_value(
                "grpc_server_call_started_total", {"grpc_method": COUNT}
            )

    assert asyncio.run(scenario()) == 1
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    ended = [line for line in lines if line["event"] == "rpc.ended"]
    assert [(e["method"], e["status"], e["peer"]) for e in ended] == [(COUNT, "OK", CABLE)]
    assert ended[0]["duration_ms"] > 0


def test_a_handlers_tasks_know_the_caller(pki: Pki) -> None:
    async def name() -> bytes:
        return str(caller().principal).encode()

    async def ask(request: bytes, context: Any) -> bytes:
        return await asyncio.create_task(name())

    async def scenario() -> bytes:
        async with serving(pki, handlers={WHO: unary(ask)}) as served, served.channel() as channel:
            answer: bytes = await channel.unary_unary(WHO)(b"")
            return answer

    assert asyncio.run(scenario()) == CABLE.encode()


def test_a_caller_that_goes_away_ends_the_handler(pki: Pki) -> None:
    ended = asyncio.Event()

    async def wait(requests: Any, context: Any) -> AsyncIterator[bytes]:
        try:
            yield b"ready"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def scenario() -> None:
        async with (
            serving(pki, handlers={ECHO: bidirectional(wait)}) as served,
            served.channel() as channel,
        ):
            call = channel.stream_stream(ECHO)()
            await call.read()
            call.cancel()
            await asyncio.wait_for(ended.wait(), 30)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("hangs_up", "reason"), [(False, FIRST_MESSAGE_LATE), (True, FIRST_MESSAGE_MISSING)]
)
def test_a_stream_must_begin_with_a_message(pki: Pki, hangs_up: bool, reason: str) -> None:
    async def serve(requests: Any, context: Any) -> AsyncIterator[bytes]:
        yield await first_message(requests, within_s=0.2 if not hangs_up else 60)

    async def scenario() -> Failure:
        async with (
            serving(pki, handlers={ECHO: bidirectional(serve)}) as served,
            served.channel() as channel,
        ):
            call = channel.stream_stream(ECHO)()
            if hangs_up:
                await call.done_writing()
            return await failure(call)

    assert asyncio.run(scenario()).reason == reason


def test_after_the_first_message_the_others_follow(pki: Pki) -> None:
    async def serve(requests: Any, context: Any) -> AsyncIterator[bytes]:
        yield b"first " + await first_message(requests)
        async for request in requests:
            yield b"then " + request

    async def scenario() -> list[bytes]:
        async with (
            serving(pki, handlers={ECHO: bidirectional(serve)}) as served,
            served.channel() as channel,
        ):
            call = channel.stream_stream(ECHO)(iter([b"a", b"b", b"c"]))
            return [answer async for answer in call]

    assert asyncio.run(scenario()) == [b"first a", b"then b", b"then c"]


def test_names_in_this_file_are_those_of_the_service() -> None:
    assert {WHO, ECHO, COUNT} == {f"/{SERVICE}/{name}" for name in ("Who", "Echo", "Count")}
