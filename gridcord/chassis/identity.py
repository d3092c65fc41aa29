"""Who is on the other end: one strict SPIFFE id per certificate.

Grammar, matched in full:

    spiffe://<domain>/<kind>/<id>              cable, resource, market, utility, manager, driver
    spiffe://<domain>/operator/<role>/<id>     role is viewer, operator or admin

The common name, DNS names and ids inside messages never say who somebody is.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    import grpc

_ID = r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?"  # as gridcord.units.identifiers
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_SPIFFE = re.compile(
    rf"spiffe://(?P<domain>{_DOMAIN.pattern})/"
    rf"(?:(?P<kind>cable|resource|market|utility|manager|driver)"
    rf"|operator/(?P<role>viewer|operator|admin))/(?P<id>{_ID})"
)
_MAX_LENGTH = 512


class IdentityError(ValueError):
    """A certificate or a text names nobody we can know."""


class Kind(Enum):
    """What somebody is.

    No texts, nor is `Role`: `Kind.OPERATOR` must not equal `Role.OPERATOR` in a set of grants.
    """

    CABLE = "cable"
    RESOURCE = "resource"
    OPERATOR = "operator"
    MARKET = "market"
    UTILITY = "utility"
    MANAGER = "manager"
    DRIVER = "driver"


class Role(Enum):
    """What an operator may do: look; also act; also change who and what is allowed."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody known. `str()` gives the SPIFFE id.

    Args:
        domain: Trust domain, such as "grid.example".
        kind: What it is.
        id: Lower-case letters, digits and inner hyphens, 1 to 64 characters.
        role: Of an operator; None for every other kind.
    """

    domain: str
    kind: Kind
    id: str
    role: Role | None = None

    @property
    def path(self) -> str:
        """The name within the domain: "cable/c-1", "operator/admin/alice"."""
        kind = f"operator/{self.role.value}" if self.role else self.kind.value
        return f"{kind}/{self.id}"

    def __str__(self) -> str:
        return f"spiffe://{self.domain}/{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A principal and the certificate that proved it.

    Args:
        principal: Who.
        serial: Serial number of the certificate, lower-case hexadecimal.
        fingerprint: SHA-256 of the certificate, lower-case hexadecimal.
        not_after_s: Expiry, seconds since 1970; infinite for a local socket.
    """

    principal: Principal
    serial: str
    fingerprint: str
    not_after_s: float


def parse_principal(text: str) -> Principal:
    """Read a SPIFFE id of this project's grammar.

    Raises:
        IdentityError: It does not match in full.
    """
    match = _SPIFFE.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None or ".." in match["domain"]:
        message = f"no identity of this system: {text[:120]!r}"
        raise IdentityError(message)
    role = Role(match["role"]) if match["role"] else None
    kind = Kind.OPERATOR if role else Kind(match["kind"])
    return Principal(domain=match["domain"], kind=kind, id=match["id"], role=role)


def peer_of(context: grpc.aio.ServicerContext[Any, Any], *, local: Principal | None = None) -> Peer:
    """Say who calls, from the TLS peer alone.

    Args:
        context: Of the RPC.
        local: Whom every caller of the server's Unix socket is taken for; its file mode says who
            can reach it. None refuses them.

    Raises:
        IdentityError: No certificate, not exactly one URI name in it, not our grammar, or it was
            not issued for client authentication.
    """
    if context.peer().startswith("unix:"):
        return _local_peer(local)
    return _tls_peer(context.auth_context())


def read_peer(pem: bytes) -> Peer:
    """Say whom a certificate names.

    Raises:
        IdentityError: Not exactly one URI name, or not our grammar.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    return Peer(
        principal=parse_principal(_only_uri(certificate)),
        serial=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        not_after_s=certificate.not_valid_after_utc.timestamp(),
    )


def caller() -> Peer:
    """The peer of the RPC this task serves.

    Raises:
        LookupError: No RPC is being served here.
    """
    return _CALLER.get()


_CALLER: ContextVar[Peer] = ContextVar("caller")


def set_caller(peer: Peer) -> None:
    """Make `caller()` answer in this task and those it starts; for the guard of RPCs."""
    _CALLER.set(peer)


def _local_peer(local: Principal | None) -> Peer:
    if local is None:
        message = "this server knows nobody on its local socket"
        raise IdentityError(message)
    return Peer(principal=local, serial="", fingerprint="", not_after_s=float("inf"))


def _tls_peer(auth: Any) -> Peer:
    spiffe = tuple(auth.get("peer_spiffe_id", ()))
    pem = tuple(auth.get("x509_pem_cert", ()))
    if len(spiffe) != 1 or len(pem) != 1:
        message = "the peer's certificate does not carry exactly one SPIFFE id"
        raise IdentityError(message)
    peer = _client(pem[0])
    if str(peer.principal) != spiffe[0].decode():
        message = "TLS and certificate name different peers"
        raise IdentityError(message)
    return peer


@lru_cache(maxsize=4096)
def _client(pem: bytes) -> Peer:
    """As `read_peer`, and issued for clients; cached: one connection carries many RPCs."""
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usage = x509.ExtendedKeyUsage([])
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        message = "the peer's certificate was not issued for client authentication"
        raise IdentityError(message)
    return read_peer(pem)


def _only_uri(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        message = f"a certificate must carry exactly one URI name, not {len(uris)}"
        raise IdentityError(message)
    return uris[0]
