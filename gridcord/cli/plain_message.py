"""Messages as JSON with stable names: what `--json` prints.

Keys are the fields' own names, all of them, always. Numbers of 64 bits stay numbers, times are
ISO 8601 in UTC, enumerations lose their prefix ("PERMISSION_NONE" is "NONE"), bytes and 64 random
bits (a journal's epoch) are hexadecimal; what is not known is null, never zero.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gridcord.units import epoch_text


def plain(message: Message) -> Any:
    """The JSON value of a message."""
    if isinstance(message, Timestamp):
        return iso_time(message)
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def iso_time(time: Timestamp) -> str:
    """A time such as 2026-11-23T09:30:00Z, with a fraction only where there is one."""
    instant = datetime.fromtimestamp(time.seconds, UTC)
    fraction = f".{time.nanos // 1000:06d}" if time.nanos else ""
    return f"{instant:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def enum_name(kind: EnumDescriptor, number: int) -> str | None:
    """The name of a number without its prefix; None for the default, the number for a new one."""
    if number == 0:
        return None
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    known = kind.values_by_number.get(number)
    return str(number) if known is None else known.name.removeprefix(prefix)


def _value(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {str(key): _single(field, each) for key, each in sorted(value.items())}
    if field.is_repeated:
        return [_single(field, each) for each in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _single(field, value)


def _single(field: Any, value: Any) -> Any:
    if isinstance(value, Message):
        return plain(value)
    if field.enum_type is not None:
        return enum_name(field.enum_type, value)
    if field.type == FieldDescriptor.TYPE_FIXED64:
        return epoch_text(value)
    return value.hex() if isinstance(value, bytes) else value
