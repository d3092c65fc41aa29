"""Channels with the certificate as it is when they are opened."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from structlog.testing import capture_logs

from gridcord.chassis.credentials import TlsFiles
from gridcord.chassis.identity import Kind, Principal
from gridcord.chassis.pki import PkiFolder
from gridcord.clients.connector import Connector

WHO = Principal(domain="grid.example", kind=Kind.RESOURCE, id="battery-1")


def issue(folder: Path) -> tuple[PkiFolder, TlsFiles]:
    pki = PkiFolder(folder)
    pki.create(domain=WHO.domain, now_s=time.time() - 60)
    return pki, pki.issue(WHO, now_s=time.time() - 60)


def opens(connector: Connector) -> bytes:
    """The certificate with which a channel is opened."""

    async def story() -> None:
        await connector().close()

    asyncio.run(story())
    return connector.identity.certificate


def test_a_renewed_certificate_is_taken_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    pki, files = issue(tmp_path)
    connector = Connector("127.0.0.1:1", files=files, expect=None)
    first = opens(connector)
    assert opens(connector) == first
    pki.renew(files.certificate.parent, now_s=time.time())
    second = opens(connector)
    assert second != first
    files.certificate.write_text("nothing of the kind")
    with capture_logs() as logs:
        assert opens(connector) == second
    assert [entry["event"] for entry in logs] == ["certificate.refused"]
