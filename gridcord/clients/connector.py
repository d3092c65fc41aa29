"""Channels of a client that runs for years: each with the certificate as it is then."""

from __future__ import annotations

import grpc
import structlog

from gridcord.chassis.channel import DEFAULT_DEADLINE_S, open_channel
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
        deadline_s: Of unary calls that give none.

    Raises:
        CredentialsError: Own certificate, key or roots cannot be used.
    """

    def __init__(
        self,
        target: str,
        *,
        files: TlsFiles,
        expect: str | None,
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> None:
        self._target = target
        self._files = files
        self._expect = expect
        self._deadline_s = deadline_s
        self._refused = ""
        self.identity = load_identity(files)

    def renewed(self) -> bool:
        """Read the files again: whether they hold another identity than `identity` was.

        Files that cannot be used leave those before in use, which is logged once.
        """
        before, refused = self.identity, ""
        try:
            self.identity = load_identity(self._files)
        except CredentialsError as error:
            refused = str(error)
        if refused and refused != self._refused:
            log.error("certificate.refused", cause=refused)
        self._refused = refused
        return self.identity != before

    def __call__(self) -> grpc.aio.Channel:
        """Open a channel with the files as they are now."""
        self.renewed()
        return open_channel(
            self._target,
            credentials=client_credentials(self.identity),
            expect=self._expect,
            deadline_s=self._deadline_s,
        )
