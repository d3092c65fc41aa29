"""Tables of a settings file that several programs have."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from gridcord.chassis.clock import Clock, ScaledClock, SystemClock
from gridcord.chassis.credentials import TlsFiles
from gridcord.chassis.settings import PlacedFile, ReadFile, Section


class TlsSettings(Section):
    """`[tls]`: who this process is. Secrets are named by path, never written here."""

    certificate: ReadFile
    key: ReadFile
    roots: ReadFile

    def files(self) -> TlsFiles:
        """For `gridcord.chassis.credentials`."""
        return TlsFiles(certificate=self.certificate, key=self.key, roots=self.roots)


class ListenSettings(Section):
    """`[listen]`: where gRPC is served."""

    address: str = Field(default="127.0.0.1:0", pattern=r".+:\d{1,5}")
    ready_file: PlacedFile | None = None
    reflection: bool = True
    share_port: bool = False
    notice_s: float = Field(default=0.0, ge=0)
    grace_s: float = Field(default=10.0, ge=0)


class RemoteSettings(Section):
    """Where another program is: `[manager]`, `[market]`, `[utility]`."""

    target: str = Field(pattern=r".+:\d{1,5}")
    server_name: str | None = None
    deadline_s: float = Field(default=10.0, gt=0)


class SessionSettings(Section):
    """`[session]`: how a device comes back to its manager; real seconds, whatever a clock plays.

    Delays grow from `retry_first_s` to `retry_longest_s` with full jitter, and begin anew after a
    session that lasted `stable_after_s`.
    """

    retry_first_s: float = Field(default=1.0, gt=0)
    retry_longest_s: float = Field(default=120.0, gt=0)
    welcome_within_s: float = Field(default=5.0, gt=0)
    stable_after_s: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _delays_grow(self) -> Self:
        if self.retry_longest_s < self.retry_first_s:
            message = "retry_longest_s is less than retry_first_s"
            raise ValueError(message)
        return self


class DenyListSettings(Section):
    """`[deny_list]`: peers that are refused; changes act within `interval_s`."""

    file: ReadFile | None = None
    interval_s: float = Field(default=2.0, gt=0, le=8)  # it must act within 10 s


class LogSettings(Section):
    """`[log]`: what is written to standard error, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class MetricsSettings(Section):
    """`[metrics]`: the HTTP port of `/metrics` and `/healthz`; None for none."""

    address: str | None = Field(default=None, pattern=r".+:\d{1,5}")


class ClockSettings(Section):
    """`[clock]`: real time, unless a demonstration gives all its processes the same three values.

    At the real instant `origin` the clock shows `simulated_origin` (`origin` itself if not given)
    and runs `speed` times as fast from there.
    """

    speed: float = Field(default=1.0, gt=0)
    origin: AwareDatetime | None = None
    simulated_origin: AwareDatetime | None = None

    @model_validator(mode="after")
    def _origin_needed(self) -> ClockSettings:
        if self.origin is None and (self.speed != 1.0 or self.simulated_origin is not None):
            message = "a simulated clock needs origin, the real instant at which it starts"
            raise ValueError(message)
        return self

    def clock(self) -> Clock:
        """The clock these settings describe."""
        if self.origin is None:
            return SystemClock()
        shown: datetime = self.simulated_origin or self.origin
        return ScaledClock(self.speed, self.origin.timestamp(), shown.timestamp())
