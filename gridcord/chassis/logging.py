"""Structured logs on standard error: JSON for machines, colours on a terminal.

An event is a constant noun.verb, such as "session.opened"; what varies goes into fields. The
logs of libraries take the same way out.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from gridcord.chassis.sections import LogSettings

_LIBRARIES = logging.WARNING
_MUTE = logging.CRITICAL + 1
# They log each failure with a dump of their traffic, and raise it too: whoever asked says it in
# one line.
_RAISE_WHAT_THEY_LOG = ("pymodbus",)


def configure_logging(settings: LogSettings, *, program: str, stream: TextIO | None = None) -> None:
    """Set up logging of the process; may be called again.

    Args:
        settings: Level and format.
        program: Bound to every line.
        stream: Where lines go; None for standard error.
    """
    out = stream or sys.stderr
    level: int = logging.getLevelNamesMapping()[settings.level.upper()]
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*before, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(settings, out),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, _LIBRARIES))
    logging.getLogger("gridcord").setLevel(level)
    for name in _RAISE_WHAT_THEY_LOG:
        logging.getLogger(name).setLevel(logging.NOTSET if level <= logging.DEBUG else _MUTE)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=_OurLogger(),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(program=program)


class _OurLogger:
    """One standard logger for all lines of ours, whatever module they come from."""

    def __call__(self, *_: Any) -> logging.Logger:
        return logging.getLogger("gridcord")


def _rendering(settings: LogSettings, out: TextIO) -> list[structlog.typing.Processor]:
    console = settings.format == "console" or (settings.format == "auto" and out.isatty())
    if console:
        return [structlog.dev.ConsoleRenderer(colors=out.isatty())]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
