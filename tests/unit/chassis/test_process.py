"""What a process needs before its loop starts, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def in_a_process(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_programs_run_on_uvloop() -> None:
    code = """
        import asyncio
        from gridcord.chassis.process import run
        async def main():
            return type(asyncio.get_running_loop()).__module__
        print(run(main()))
    """
    assert in_a_process(code).endswith("uvloop")


def test_programs_run_without_uvloop_too() -> None:
    code = """
        import asyncio, sys
        sys.modules["uvloop"] = None
        from gridcord.chassis.process import run
        async def main():
            return type(asyncio.get_running_loop()).__module__
        print(run(main()))
    """
    assert in_a_process(code).endswith("asyncio.unix_events")


def test_a_program_raises_its_file_limit_as_far_as_it_may() -> None:
    code = """
        import resource
        from gridcord.chassis.process import raise_file_limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1024))
        print(raise_file_limit(512), raise_file_limit(4096), raise_file_limit(100))
        print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    """
    lines = in_a_process(code).splitlines()
    assert lines[-2:] == ["512 1024 1024", "1024"]
    assert any("file_limit.low" in line for line in lines[:-2])


def test_slow_protobuf_is_refused() -> None:
    code = """
        from gridcord.chassis.process import SlowProtobuf, run
        async def main():
            return "ran"
        try:
            print(run(main()))
        except SlowProtobuf as error:
            print(error)
    """
    assert "not 'upb'" in in_a_process(code, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    assert in_a_process(code).endswith("ran")


def test_the_collector_leaves_alone_what_lives_for_ever() -> None:
    code = """
        import gc
        from gridcord.chassis.process import calm_collector
        calm_collector()
        print(gc.get_freeze_count() > 1000, gc.get_threshold()[0] > 10_000)
    """
    assert in_a_process(code) == "True True"
