"""The `gridcord` command: mounting, exit codes, `ca`, `config`."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import grpc
import pytest
import typer

from gridcord import __version__
from gridcord.chassis.credentials import load_identity
from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.failures import Failure
from gridcord.chassis.identity import parse_principal
from gridcord.chassis.pki import PkiFolder
from gridcord.chassis.program import ServerSettings
from gridcord.cli import config
from gridcord.cli import main as command
from gridcord.cli.ending import CommandError
from gridcord.cli.main import Mounted, main

Capture = pytest.CaptureFixture[str]


class ManagerSettings(ServerSettings):
    """A program's settings."""

    program: ClassVar[str] = "manager"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_version_is_said(capsys: Capture) -> None:
    assert main(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"gridcord {__version__}\n"


def test_help_lists_commands_without_importing_them() -> None:
    code = (
        "import sys; from gridcord.cli.main import main; main(['--help']);"
        "print('imported' if 'gridcord.cli.ca' in sys.modules or 'grpc' in sys.modules else 'lazy')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert "Certificates for development" in done.stdout
    assert "Exit codes" in done.stdout
    assert done.stdout.endswith("lazy\n")


@pytest.mark.parametrize("arguments", [["nope"], ["--nope"], ["ca", "issue"], ["ca", "nope"]])
def test_wrong_arguments_are_2(arguments: list[str], capsys: Capture) -> None:
    assert main(arguments) == ExitCode.USAGE
    assert "Usage" in capsys.readouterr().err


def mounted(monkeypatch: pytest.MonkeyPatch, app: object, name: str = "try") -> None:
    """Mount an app as if it had a line in the table."""
    module = ModuleType("gridcord_test_mounted")
    module.app = app  # type: ignore[attr-defined]
    module.__spec__ = find_spec("gridcord")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(command, "COMMANDS", {name: Mounted(f"{module.__name__}:app", "Try.")})


def raising(error: BaseException) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def _() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "exit_code", "said"),
    [
        (CommandError("no such site", exit_code=ExitCode.NEGATIVE), 1, "no such site"),
        (CommandError("no such file"), 2, "no such file"),
        (Failure(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", "later"), 3, "SERVER_DRAINING"),
        (Failure(grpc.StatusCode.DEADLINE_EXCEEDED, "SLOW", "later"), 3, "SLOW"),
        (Failure(grpc.StatusCode.NOT_FOUND, "SITE_UNKNOWN", "which?"), 1, "SITE_UNKNOWN: which?"),
        (
            grpc.aio.AioRpcError(
                grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "refused"
            ),
            3,
            "refused",
        ),
        (KeyboardInterrupt(), 130, ""),
        (typer.Exit(1), 1, ""),
    ],
    ids=repr,
)
def test_an_exit_code_says_how_it_ended(
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    error: BaseException,
    exit_code: int,
    said: str,
) -> None:
    mounted(monkeypatch, raising(error))

    assert main(["try"]) == exit_code
    assert said in capsys.readouterr().err


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    mounted(monkeypatch, raising(ZeroDivisionError("bug")))

    with pytest.raises(ZeroDivisionError):
        main(["try"])


def test_a_missing_module_does_not_break_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    table = {**command.COMMANDS, "later": Mounted("gridcord.cli.not_yet:app", "To come.")}
    monkeypatch.setattr(command, "COMMANDS", table)

    assert main(["--help"]) == ExitCode.OK
    assert "To come." not in capsys.readouterr().out
    assert main(["later"]) == ExitCode.USAGE
    assert main(["ca", "--help"]) == ExitCode.OK


def test_a_module_that_needs_what_is_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "needy.py").write_text("import not_installed_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(command, "COMMANDS", {"needy": Mounted("needy:app", "Needs a lot.")})

    assert main(["needy"]) == ExitCode.USAGE
    assert "not_installed_at_all" in capsys.readouterr().err


def test_other_packages_bring_commands(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    brought = EntryPoint("certificates", "gridcord.cli.ca:app", command.GROUP)
    monkeypatch.setattr(command, "entry_points", lambda group: [brought])

    assert main(["--help"]) == ExitCode.OK
    assert "certificates" in capsys.readouterr().out
    assert main(["certificates", "init", "grid.example"]) == ExitCode.OK


def answer(capsys: Capture, *arguments: str) -> dict[str, str]:
    """What a command answers in JSON; it must succeed."""
    assert main([*arguments, "--json"]) == ExitCode.OK
    found: dict[str, str] = json.loads(capsys.readouterr().out)
    return found


def test_an_authority_issues_shows_and_renews(capsys: Capture, tmp_path: Path) -> None:
    assert answer(capsys, "ca", "init", "grid.example")["domain"] == "grid.example"
    issued = answer(capsys, "ca", "issue", "operator", "alice", "--role", "admin", "--days", "9")
    assert issued["identity"] == "spiffe://grid.example/operator/admin/alice"
    assert issued["folder"] == "pki/operator-alice"
    assert answer(capsys, "ca", "show", issued["folder"]) == issued

    renewed = answer(capsys, "ca", "renew", issued["folder"], "--new-key")

    assert renewed["identity"] == issued["identity"]
    assert renewed["fingerprint"] != issued["fingerprint"]
    assert answer(capsys, "ca", "show", "pki/operator-alice/certificate.pem") == renewed
    pki = PkiFolder(tmp_path / "pki")
    identity = load_identity(pki.files(parse_principal(renewed["identity"])))
    assert f"sha256:{identity.own.fingerprint}" == renewed["fingerprint"]


def test_a_person_gets_lines(capsys: Capture) -> None:
    assert main(["ca", "init", "grid.example"]) == ExitCode.OK
    assert main(["ca", "issue", "manager", "main", "--dns", "m.example", "--ip", "::1"]) == 0

    lines = capsys.readouterr().out.splitlines()

    assert "identity     spiffe://grid.example/manager/main" in lines


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["ca", "init", "Grid Example"], "no identity"),
        (["ca", "init", "grid.example"], "exists and is kept"),
        (["ca", "issue", "cable", "C_1"], "no identity"),
        (["ca", "issue", "cable", "c-1"], "exists and is kept"),
        (["ca", "issue", "operator", "alice"], "--role"),
        (["ca", "issue", "cable", "c-2", "--role", "admin"], "--role"),
        (["ca", "issue", "manager", "m", "--ip", "here"], "here"),
        (["ca", "issue", "cable", "c-3", "--folder", "elsewhere"], "gridcord ca init"),
        (["ca", "renew", "pki/cable-c-9"], "cable-c-9"),
        (["ca", "show", "absent.pem"], "absent.pem"),
        (["ca", "show", "pki/ca"], "no identity"),
    ],
    ids=" ".join,
)
def test_a_refusal_says_what_to_do(capsys: Capture, arguments: list[str], advice: str) -> None:
    main(["ca", "init", "grid.example"])
    main(["ca", "issue", "cable", "c-1"])
    capsys.readouterr()

    assert main(arguments) == ExitCode.USAGE
    assert advice in capsys.readouterr().err


@pytest.fixture
def _manager(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("manager", f"{__name__}:ManagerSettings", config.GROUP)
    monkeypatch.setattr(config, "entry_points", lambda group: [entry])


TLS = '[tls]\ncertificate = "c"\nkey = "k"\nroots = "r"\n'


@pytest.mark.usefixtures("_manager")
def test_good_settings_are_good(capsys: Capture) -> None:
    Path("manager.toml").write_text(TLS)

    assert main(["config", "check", "manager", "manager.toml"]) == ExitCode.OK
    assert "good" in capsys.readouterr().out


@pytest.mark.usefixtures("_manager")
def test_bad_settings_are_named(capsys: Capture) -> None:
    Path("manager.toml").write_text(TLS + '[lisen]\naddress = "127.0.0.1:1"\n')

    assert main(["config", "check", "manager", "manager.toml"]) == ExitCode.USAGE
    assert "did you mean 'listen'?" in capsys.readouterr().err
    assert main(["config", "show", "manager", "manager.toml"]) == ExitCode.USAGE


@pytest.mark.usefixtures("_manager")
def test_effective_settings_are_shown_with_their_origin(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDCORD_MANAGER__LISTEN__ADDRESS", "127.0.0.1:50051")
    Path("manager.toml").write_text(TLS)

    assert main(["config", "show", "manager", "manager.toml", "--json"]) == ExitCode.OK
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["listen.address"] == {
        "key": "listen.address",
        "value": "127.0.0.1:50051",
        "origin": "environment",
    }
    assert rows["tls.key"]["value"] == str(tmp_path / "k")
    assert rows["tls.key"]["origin"] == "file"
    assert rows["log.level"]["origin"] == "default"

    assert main(["config", "show", "manager", "manager.toml"]) == ExitCode.OK
    assert str(tmp_path / "k") in capsys.readouterr().out.replace("\n", "")


@pytest.mark.usefixtures("_manager")
def test_an_unknown_program_is_named(capsys: Capture) -> None:
    assert main(["config", "check", "manger", "manager.toml"]) == ExitCode.USAGE
    assert "known are manager" in capsys.readouterr().err
