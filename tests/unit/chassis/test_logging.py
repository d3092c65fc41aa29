"""Log lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog

from gridcord.chassis.logging import configure_logging
from gridcord.chassis.sections import LogSettings


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_line_is_json_with_what_is_bound() -> None:
    out = StringIO()
    configure_logging(LogSettings(), program="manager", stream=out)
    with structlog.contextvars.bound_contextvars(cable_id="c-0001"):
        structlog.get_logger().info("entry.stored", sequence=7)

    line = json.loads(out.getvalue())

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "entry.stored",
        "level": "info",
        "program": "manager",
        "cable_id": "c-0001",
        "sequence": 7,
    }


def test_a_terminal_gets_text_for_people() -> None:
    out = Terminal()
    configure_logging(LogSettings(), program="manager", stream=out)
    structlog.get_logger().info("entry.stored")

    assert "entry.stored" in out.getvalue()
    assert "{" not in out.getvalue()


@pytest.mark.parametrize(("format_", "is_json"), [("json", True), ("console", False)])
def test_the_format_can_be_chosen(format_: str, is_json: bool) -> None:
    out = Terminal()
    settings = LogSettings.model_validate({"format": format_})
    configure_logging(settings, program="manager", stream=out)
    structlog.get_logger().info("entry.stored")

    assert out.getvalue().startswith("{") is is_json


@pytest.mark.parametrize(
    ("level", "written"),
    [("debug", ["a", "b", "c"]), ("info", ["b", "c"]), ("error", ["c"])],
)
def test_the_level_decides(level: str, written: list[str]) -> None:
    out = StringIO()
    settings = LogSettings.model_validate({"level": level})
    configure_logging(settings, program="manager", stream=out)
    log = structlog.get_logger()
    log.debug("a")
    log.info("b")
    log.error("c")

    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == written


def test_libraries_take_the_same_way_and_only_warn() -> None:
    out = StringIO()
    configure_logging(LogSettings(level="debug"), program="manager", stream=out)
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    logging.getLogger("asyncio").warning("slow callback: %s", "x")

    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["event"] == "slow callback: x"
    assert json.loads(line)["logger"] == "asyncio"
    assert json.loads(line)["program"] == "manager"


def test_a_traceback_shows_code_and_no_values() -> None:
    out = StringIO()
    configure_logging(LogSettings(), program="manager", stream=out)
    password = "hunter2"
    try:
        len(7 if password else 8)  # type: ignore[arg-type]
    except TypeError:
        structlog.get_logger().exception("task.failed")

    assert "Traceback" in json.loads(out.getvalue())["exception"]
    assert "hunter2" not in out.getvalue()
