"""A real manager process, and cables that speak its protocol by hand."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gridcord.api.manager.v1 import cable_session_service_pb2 as pb
from gridcord.api.manager.v1.cable_session_service_pb2_grpc import CableSessionServiceStub
from gridcord.chassis.channel import open_channel, server_name
from gridcord.chassis.credentials import TlsFiles, client_credentials, load_identity
from gridcord.chassis.identity import Kind, Principal, Role
from gridcord.chassis.pki import PkiFolder
from gridcord.metering.records import JournalEntry
from gridcord.simulation.processes import Program
from gridcord.wire.journal import entry_to_bytes
from gridcord.wire.session import signed_bytes
from gridcord.wire.values import time_to_proto

DOMAIN = "grid.example"
SITE = "obis:4530303033"


@dataclass
class ManagerProcess:
    """A manager that serves."""

    program: Program
    pki: PkiFolder
    address: str

    def identity(self, kind: Kind, name: str, role: Role | None = None) -> TlsFiles:
        """An identity of the manager's domain, made at first use."""
        principal = Principal(domain=DOMAIN, kind=kind, id=name, role=role)
        files = self.pki.files(principal)
        if not files.certificate.exists():
            self.pki.issue(principal, now_s=time.time() - 60)
        return files

    def channel(self, files: TlsFiles) -> grpc.aio.Channel:
        """A channel with that identity."""
        return open_channel(
            self.address,
            credentials=client_credentials(load_identity(files)),
            expect=server_name(Kind.MANAGER, DOMAIN),
        )


@contextmanager
def running_manager(
    folder: Path, database_url: str, **tables: dict[str, object]
) -> Iterator[ManagerProcess]:
    """A manager with an authority of its own.

    Args:
        folder: Of its files.
        database_url: Of PostgreSQL; empty for SQLite in the folder.
        tables: Of its settings, beside those every test needs.
    """
    pki = PkiFolder(folder / "pki")
    pki.create(domain=DOMAIN, now_s=time.time() - 60)
    files = pki.issue(
        Principal(domain=DOMAIN, kind=Kind.MANAGER, id="main"), now_s=time.time() - 60
    )
    program = Program(
        "manager",
        folder / "manager",
        {
            "tls": {"certificate": files.certificate, "key": files.key, "roots": files.roots},
            "database": {"url": database_url}
            if database_url
            else {"file": str(folder / "manager.db")},
            "log": {"format": "json", "level": "debug"},
            **tables,
        },
    )
    program.start()
    try:
        yield ManagerProcess(program, pki, str(program.wait_ready()["grpc"]))
    finally:
        program.stop()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_database_url(request: pytest.FixtureRequest) -> str:
    """A database for a module's tests: empty for SQLite, or a new one of PostgreSQL."""
    on_postgres = request.param == "postgresql"
    return str(request.getfixturevalue("postgres").url()) if on_postgres else ""


@pytest.fixture(scope="module")
def manager(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManagerProcess]:
    """A manager for a module's tests, once on SQLite and once on PostgreSQL."""
    with running_manager(tmp_path_factory.mktemp("manager"), module_database_url) as process:
        yield process


class HandCable:
    """A cable that is driven by hand: every frame is the test's."""

    _names = itertools.count(1)

    def __init__(self, manager: ManagerProcess, name: str = "") -> None:
        self.name = name or f"cable-{next(self._names)}"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.epoch = 7
        self._manager = manager
        self._files = manager.identity(Kind.CABLE, self.name)

    def hello(self, **changes: object) -> pb.ConnectRequest:
        """A hello; `changes` replace its fields."""
        values: dict[str, object] = {
            "protocol_version": 1,
            "journal_epoch": self.epoch,
            "oldest_sequence_number": 1,
            "next_sequence_number": 1,
            "boot_id": "boot-1",
            "clock_time": time_to_proto(time.time()),
            "clock_state": 1,
            "site_meter_id": SITE,
            "vehicle_id": "vehicle-1",
            "driver_id": "driver-1",
            "signing_key": self.key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            "rated_power_w": 1500,
        }
        return pb.ConnectRequest(hello=pb.CableHello(**(values | changes)))  # type: ignore[arg-type]

    def entry(self, sequence: int, content: JournalEntry | bytes) -> pb.ConnectRequest:
        """A signed entry."""
        body = content if isinstance(content, bytes) else entry_to_bytes(content)
        signature = self.key.sign(
            signed_bytes(
                cable_id=self.name, journal_epoch=self.epoch, sequence=sequence, body=body
            ),
            ec.ECDSA(hashes.SHA256()),
        )
        return pb.ConnectRequest(
            entry=pb.Entry(sequence_number=sequence, body=body, signature=signature)
        )

    @asynccontextmanager
    async def stream(
        self,
    ) -> AsyncIterator[grpc.aio.StreamStreamCall[pb.ConnectRequest, pb.ConnectResponse]]:
        """An open stream."""
        async with self._manager.channel(self._files) as channel:
            call = CableSessionServiceStub(channel).Connect()
            try:
                yield call
            finally:
                call.cancel()
