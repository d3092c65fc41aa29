"""Channels of a client that runs for years: each with the certificate as it is then."""

from __future__ import annotations

import grpc
import structlog

from gridcord.chassis.channel import open_channel
from gridcord.chassis.credentials import (
    CredentialsError,
    TlsFiles,
    client_credentials,
    load_identity,
)

log = structlog.get_logger()


class Connector:
    """Opens channels to one server; a renewed certificate needs no restart.

    Args:
        target: "host:port".
        files: Who we are.
        expect: DNS name the server's certificate must carry; None for the host of `target`.

    Raises:
        CredentialsError: Own certificate, key or roots cannot be used.
    """

    def __init__(self, target: str, *, files: TlsFiles, expect: str | None) -> None:
        self._target = target
        self._files = files
        self._expect = expect
        self.identity = load_identity(files)

    def __call__(self) -> grpc.aio.Channel:
        """Open a channel; files that cannot be used now leave those before in use."""
        try:
            self.identity = load_identity(self._files)
        except CredentialsError as error:
            log.error("certificate.refused", cause=str(error))
        return open_channel(
            self._target, credentials=client_credentials(self.identity), expect=self._expect
        )
