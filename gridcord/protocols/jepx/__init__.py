"""The exchange's interface for members: frames, values and messages (JEPX connection manual 901,
day-ahead API 902, intraday API 903).

Sans I/O: bytes in, values out. `frames` cuts a stream of bytes into frames, `fields` converts the
exchange's units to ours, `offers`, `requests` and `answers` are the messages of the calls.
Everything raises `ProtocolError`, and nothing else, on bytes that are wrong.
"""

from gridcord.protocols.jepx.fields import ErrorCode, MessageError
from gridcord.protocols.jepx.frames import (
    BodyError,
    Frame,
    FrameDecoder,
    FrameError,
    ProtocolError,
    Request,
    Response,
    Status,
    encode_request,
    encode_response,
    parse_request,
    parse_response,
)

__all__ = [
    "BodyError",
    "ErrorCode",
    "Frame",
    "FrameDecoder",
    "FrameError",
    "MessageError",
    "ProtocolError",
    "Request",
    "Response",
    "Status",
    "encode_request",
    "encode_response",
    "parse_request",
    "parse_response",
]
