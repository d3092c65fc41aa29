"""Messages filled by chance, as strangers, broken tools and attackers send them; how calls end."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status

MOST_BYTES = 60_000  # a server takes 64 KiB
# grpc.aio's own word for a write after the server has ended the call; the answer is lost then.
_WRITTEN_TOO_LATE = "Internal error from Core"

EXPECTED = frozenset(
    {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)


def texts() -> Iterator[str]:
    """What is put where a text is asked for."""
    yield from ("", "0", "7", "-1", "9" * 18, "9" * 19, "9" * 400, "1/2", "1/", "/", "1/x/2", "¹²")
    yield from ("a\x00b", "\x00", "\N{SNOWMAN}" * 3_000, "x" * 9_000, "'; DROP TABLE audit; --")
    yield from ("obis:4530303033", "%", "_", "..", "\u202e", "1e9", " ", "\n", "not a uuid")
    yield from ("1/a\x00b/1", "1/cable-1/1", "because of a test", "cable-1", "JPY")


class Chance:
    """Fills messages.

    Args:
        seed: Of the chance.
        true: What some fields hold half the time, by name, so that some requests get far.
    """

    def __init__(self, seed: int, true: Mapping[str, Any]) -> None:
        self.random = random.Random(seed)
        self._texts = list(texts())
        self._true = true

    def message(self, kind: Any) -> Message:
        """A message whose fields hold anything that their types and a message can hold."""
        while (made := self._filled(kind)).ByteSize() > MOST_BYTES:
            pass
        return made

    def _filled(self, kind: Any) -> Message:
        made: Message = GetMessageClass(kind)()
        for field in kind.fields:
            if self.random.random() < 0.7:
                self._fill(made, field)
        return made

    def _fill(self, made: Message, field: FieldDescriptor) -> None:
        if field.message_type is None:
            value = self._value(field)
            if field.is_repeated:
                getattr(made, field.name).extend([value] * self.random.choice((1, 50)))
            else:
                setattr(made, field.name, value)
        elif field.is_repeated:
            getattr(made, field.name).append(self._filled(field.message_type))
        else:
            getattr(made, field.name).CopyFrom(self._filled(field.message_type))

    def _value(self, field: FieldDescriptor) -> Any:
        pick = self.random.choice
        if field.name in self._true and self.random.random() < 0.5:
            return self._true[field.name]
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return pick((b"", b"\x00\xff", b"x" * 5_000))
            case FieldDescriptor.CPPTYPE_STRING:
                return pick(self._texts)
            case FieldDescriptor.CPPTYPE_BOOL:
                return pick((True, False))
            case FieldDescriptor.CPPTYPE_ENUM:
                return pick((0, 1, 2, 3, 99, -1))
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return pick((0.0, -1.0, float("nan"), float("inf"), 1e300))
            case FieldDescriptor.CPPTYPE_INT32:
                return pick((0, 1, 7, 1_000, 1_001, -1, 2**31 - 1, -(2**31)))
            case FieldDescriptor.CPPTYPE_UINT32:
                return pick((0, 1, 1_000, 2**32 - 1))
            case FieldDescriptor.CPPTYPE_UINT64:
                return pick((0, 1, 2**64 - 1))
        return pick((0, 1, 1_795_000_000, -1, 2**63 - 1, -(2**63)))


async def ask(
    channel: grpc.aio.Channel,
    method: MethodDescriptor,
    requests: Sequence[Message],
    *,
    within_s: float,
) -> grpc.aio.AioRpcError | None:
    """Call a method of any kind and read to its end; None when it answered, or nobody knows.

    Args:
        channel: To the server.
        method: Which.
        requests: One, or those of a stream.
        within_s: For all of it; a stream that lasts ends with DEADLINE_EXCEEDED.
    """
    stub: Any = channel.stream_stream(f"/{method.containing_service.full_name}/{method.name}")
    call = stub(iter([each.SerializeToString() for each in requests]), timeout=within_s)
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError as error:
        return None if error.details() == _WRITTEN_TOO_LATE else error
    return None


def violated(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields of the request that an answer says cannot be used."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    found = BadRequest()
    for detail in status.details:
        if detail.Unpack(found):
            return [each.field for each in found.field_violations]
    return []
