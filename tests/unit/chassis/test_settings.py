"""Settings: one file, the environment above it, and complaints that say what to do."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, ValidationError

from gridcord.chassis.clock import ScaledClock, SystemClock
from gridcord.chassis.program import ServerSettings
from gridcord.chassis.sections import ClockSettings, LogSettings, TlsSettings
from gridcord.chassis.settings import (
    DEFAULT,
    ENVIRONMENT,
    FILE,
    FilePath,
    ProgramSettings,
    Section,
    SettingsError,
    Value,
    effective_values,
    environment_prefix,
    load_settings,
)


class VenueSettings(Section):
    """A table of the test's program."""

    name: str
    ticks: tuple[int, ...] = ()
    folder: FilePath | None = None
    fee_micros: int = Field(default=0, ge=0)


class TestSettings(ProgramSettings):
    """A program that only exists here."""

    __test__ = False
    program: ClassVar[str] = "market-adapter"

    venue: VenueSettings
    spare: VenueSettings | None = None
    log: LogSettings = LogSettings()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "market.toml"
    path.write_text(text, "utf-8")
    return path


def complaints(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(TestSettings, written(tmp_path, text))
    return str(caught.value).splitlines()


def test_a_file_fills_the_model(tmp_path: Path) -> None:
    settings = load_settings(
        TestSettings, written(tmp_path, '[venue]\nname = "jepx"\nticks = [1, 2]\n')
    )

    assert settings.venue == VenueSettings(name="jepx", ticks=(1, 2))
    assert settings.log.level == "info"


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = load_settings(TestSettings, written(tmp_path, '[venue]\nname = "jepx"\n'))

    with pytest.raises(ValidationError):
        settings.venue = VenueSettings(name="other")
    with pytest.raises(ValidationError):
        settings.venue.name = "other"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    text = '[venue]\nname = "x"\nfolder = "data"\n[spare]\nname = "y"\nfolder = "/var/lib/y"\n'
    settings = load_settings(TestSettings, written(tmp_path, text))

    assert settings.venue.folder == tmp_path / "data"
    assert settings.spare is not None
    assert settings.spare.folder == Path("/var/lib/y")


def test_the_environment_is_above_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDCORD_MARKET_ADAPTER__VENUE__FEE_MICROS", "7")
    monkeypatch.setenv("GRIDCORD_MARKET_ADAPTER__VENUE__TICKS", "[5, 10]")
    monkeypatch.setenv("GRIDCORD_MANAGER__VENUE__NAME", "of another program")
    path = written(tmp_path, '[venue]\nname = "jepx"\nfee_micros = 1\n')

    assert load_settings(TestSettings, path).venue == VenueSettings(
        name="jepx", fee_micros=7, ticks=(5, 10)
    )
    assert environment_prefix(TestSettings) == "GRIDCORD_MARKET_ADAPTER__"


def test_every_value_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDCORD_MARKET_ADAPTER__LOG__LEVEL", "debug")
    path = written(tmp_path, '[venue]\nname = "jepx"\n')

    assert effective_values(TestSettings, path) == [
        Value(key="venue.name", value="jepx", origin=FILE),
        Value(key="venue.ticks", value=(), origin=DEFAULT),
        Value(key="venue.folder", value=None, origin=DEFAULT),
        Value(key="venue.fee_micros", value=0, origin=DEFAULT),
        Value(key="spare", value=None, origin=DEFAULT),
        Value(key="log.level", value="debug", origin=ENVIRONMENT),
        Value(key="log.format", value="auto", origin=DEFAULT),
    ]


@pytest.mark.parametrize(
    ("text", "key", "advice"),
    [
        ('[venue]\nname = "x"\nfee_micro = 1', "venue.fee_micro", "did you mean 'fee_micros'?"),
        ('[venu]\nname = "x"\n[venue]\nname = "x"', "venu", "did you mean 'venue'?"),
        ('[venue]\nname = "x"\n[spare]\nnmae = 1\nname = "x"', "spare.nmae", "'name'"),
        ('[venue]\nname = "x"\nzzz = 1', "venue.zzz", "remove it, known are name, ticks"),
        ("", "venue", "missing"),
        ("[venue]", "venue.name", "missing"),
        ('[venue]\nname = "x"\nfee_micros = -1', "venue.fee_micros", "it is -1"),
        ('[venue]\nname = "x"\nfee_micros = "y"', "venue.fee_micros", "it is 'y'"),
        ('[venue]\nname = "x"\n[log]\nlevel = "loud"', "log.level", "'debug', 'info'"),
    ],
)
def test_a_complaint_says_file_key_and_what_to_do(
    tmp_path: Path, text: str, key: str, advice: str
) -> None:
    (complaint,) = complaints(tmp_path, text)

    assert complaint.startswith(f"{tmp_path / 'market.toml'}: {key}: ")
    assert advice in complaint


def test_all_complaints_come_at_once(tmp_path: Path) -> None:
    found = complaints(tmp_path, '[venue]\nfee_micros = -1\nzzz = 1\n[log]\nlevel = "loud"\n')

    assert len(found) == 4


def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path) -> None:
    (complaint,) = complaints(tmp_path, '[venue]\nname = "x\n')

    assert "market.toml: no TOML" in complaint
    assert "line 2" in complaint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml.*conf/"):
        load_settings(TestSettings, tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("GRIDCORD_MARKET_ADAPTER__VENU__NAME", "x", "did you mean 'venue'?"),
        ("GRIDCORD_MARKET_ADAPTER__VENUE__NMAE", "x", "did you mean 'name'?"),
        ("GRIDCORD_MARKET_ADAPTER__VENUE__FEE_MICROS", "y", "it is 'y'"),
        ("GRIDCORD_MARKET_ADAPTER__VENUE__TICKS", "[1", "JSON"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, advice: str
) -> None:
    monkeypatch.setenv(variable, value)

    (complaint,) = complaints(tmp_path, '[venue]\nname = "x"\n')

    assert complaint.startswith("environment: ")
    assert advice in complaint


class Serves(ServerSettings):
    """A server program."""

    program: ClassVar[str] = "manager"


def test_a_server_needs_its_identity_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, '[tls]\ncertificate = "c"\nkey = "k"\nroots = "r"\n')

    settings = load_settings(Serves, path)

    assert settings.tls == TlsSettings(
        certificate=tmp_path / "c", key=tmp_path / "k", roots=tmp_path / "r"
    )
    assert settings.listen.address == "127.0.0.1:0"
    assert settings.listen.reflection
    assert settings.deny_list.interval_s <= 8, "revocation acts within 10 s"
    assert isinstance(settings.clock.clock(), SystemClock)


@pytest.mark.parametrize("interval_s", [0, 8.1])
def test_revocation_cannot_be_made_slower_than_promised(tmp_path: Path, interval_s: float) -> None:
    tls = '[tls]\ncertificate = "c"\nkey = "k"\nroots = "r"\n'
    path = written(tmp_path, f"{tls}[deny_list]\ninterval_s = {interval_s}\n")

    with pytest.raises(SettingsError, match=r"deny_list\.interval_s"):
        load_settings(Serves, path)


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1:", ":50051", "host:port"])
def test_an_address_has_a_host_and_a_port(tmp_path: Path, address: str) -> None:
    tls = '[tls]\ncertificate = "c"\nkey = "k"\nroots = "r"\n'
    path = written(tmp_path, f'{tls}[listen]\naddress = "{address}"\n')

    with pytest.raises(SettingsError, match=r"listen\.address"):
        load_settings(Serves, path)


def test_clock_settings_describe_a_clock_that_processes_share() -> None:
    settings = ClockSettings.model_validate(
        {"speed": 60, "origin": "2026-11-23T09:00:00Z", "simulated_origin": "2026-07-01T06:00:00Z"}
    )

    assert settings.clock() == ScaledClock(60, 1_795_424_400.0, 1_782_885_600.0)


def test_a_simulated_clock_may_begin_now() -> None:
    settings = ClockSettings.model_validate({"speed": 60, "origin": "2026-11-23T09:00:00Z"})

    assert settings.clock() == ScaledClock(60, 1_795_424_400.0, 1_795_424_400.0)


@pytest.mark.parametrize(
    "values",
    [
        {"speed": 60},
        {"simulated_origin": "2026-07-01T06:00:00Z"},
        {"origin": "2026-07-01T06:00:00"},
        {"speed": 0, "origin": "2026-07-01T06:00:00Z"},
    ],
)
def test_half_a_simulated_clock_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ClockSettings.model_validate(values)
