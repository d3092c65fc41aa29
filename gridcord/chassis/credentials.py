"""A process's own certificate, key and roots, from files, and what gRPC makes of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from grpc import experimental

from gridcord.chassis.identity import IdentityError, Peer, Principal, read_peer

_RENEW_AT = 2 / 3  # of the certificate's life
SETTLE_S = 1.0  # real seconds; see `FollowedFiles`

log = structlog.get_logger()


class CredentialsError(ValueError):
    """A certificate, key or roots file cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where a process's identity is.

    Args:
        certificate: PEM chain, own certificate first.
        key: PEM, unencrypted ECDSA P-256; None when a signer holds it (see `client_credentials`).
        roots: PEM certificates of the authorities that are trusted.
    """

    certificate: Path
    key: Path | None
    roots: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the files hold.

    Args:
        own: Ourselves as peers see us.
        not_before_s: Start of the certificate's life, seconds since 1970.
        certificate: PEM chain.
        key: PEM; None when a signer holds it.
        roots: PEM.
    """

    own: Peer
    not_before_s: float
    certificate: bytes
    key: bytes | None
    roots: bytes

    @property
    def principal(self) -> Principal:
        """Who we are."""
        return self.own.principal

    @property
    def renew_at_s(self) -> float:
        """When to renew: after two thirds of the certificate's life, seconds since 1970."""
        return self.not_before_s + _RENEW_AT * (self.own.not_after_s - self.not_before_s)

    def renewal_due(self, now_s: float) -> bool:
        """Whether it is time to renew.

        A refused handshake reaches a client only as UNAVAILABLE, so it must look by itself.
        """
        return now_s >= self.renew_at_s


def load_identity(files: TlsFiles) -> Identity:
    """Read and check a process's own identity.

    Raises:
        CredentialsError: A file is missing, no PEM, the key is not ECDSA P-256 (gRPC refuses
            Ed25519, RSA costs half as much again) or not the certificate's.
    """
    certificate, roots = _read(files.certificate), _read(files.roots)
    key = _read(files.key) if files.key else None
    try:
        own = x509.load_pem_x509_certificate(certificate)
        x509.load_pem_x509_certificates(roots)
        peer = read_peer(certificate)
    except IdentityError as error:
        message = f"{files.certificate}: {error}"
        raise CredentialsError(message) from error
    except ValueError as error:
        message = f"{files.certificate} or {files.roots} holds no PEM certificate: {error}"
        raise CredentialsError(message) from error
    if key is not None:
        _check_key(files, key, own)
    return Identity(
        own=peer,
        not_before_s=own.not_valid_before_utc.timestamp(),
        certificate=certificate,
        key=key,
        roots=roots,
    )


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that demand a client certificate and follow the files when they change.

    Each new connection uses the files as they are then; files that cannot be used leave the
    previous ones in force and are logged.

    Raises:
        CredentialsError: They cannot be used now.
    """
    follow = FollowedFiles(files)
    return grpc.dynamic_ssl_server_credentials(
        follow.current,
        follow,  # type: ignore[arg-type]  # None is for "as before", which the stubs forgot
        require_client_authentication=True,
    )


def client_credentials(
    identity: Identity, *, sign: Callable[[bytes], bytes] | None = None
) -> grpc.ChannelCredentials:
    """Credentials of a client.

    Args:
        identity: Who we are.
        sign: Signs a TLS transcript with our P-256 key and SHA-256, DER encoded, where the key
            lives in a secure element and `identity.key` is None.

    Raises:
        CredentialsError: Neither a key nor a signer.
    """
    if sign is not None:  # experimental in gRPC 1.85; the key file is the way without it
        return experimental.ssl_channel_credentials_with_custom_signer(  # type: ignore[no-any-return]
            private_key_sign_fn=lambda transcript, *_: sign(transcript),
            root_certificates=identity.roots,
            certificate_chain=identity.certificate,
        )
    if identity.key is None:
        message = "a client needs a key file or a signer"
        raise CredentialsError(message)
    return grpc.ssl_channel_credentials(identity.roots, identity.key, identity.certificate)


class FollowedFiles:
    """Gives gRPC the files' content when it changed; called by its threads, for each connection.

    gRPC's core makes a new TLS context of whatever it gets and frees the old one, while another
    thread, which has asked here just before, may still be beginning a handshake with it
    (grpc/grpc#36693): a use after free, on which a stranger's mere connecting crashes the process.
    Hence the same content is never given twice, and new content only after a pause. The core
    holds a lock while it asks: nobody begins in the pause, and who began before it, a few
    instructions from holding the old context safely, gets there. What is connected goes on.

    Args:
        files: To be followed.
        settle_s: The pause, real seconds.

    Raises:
        CredentialsError: They cannot be used now.
    """

    def __init__(self, files: TlsFiles, *, settle_s: float = SETTLE_S) -> None:
        self._files = files
        self._settle_s = settle_s
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._identity = load_identity(files)
        self.current = _configuration(self._identity)

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        """What is new; None when nothing is."""
        with self._lock:
            stamp = self._look()
            return None if stamp == self._stamp else self._reload(stamp)

    def _reload(self, stamp: tuple[int, ...]) -> grpc.ServerCertificateConfiguration | None:
        try:
            identity = load_identity(self._files)
            configuration = _configuration(identity)
        except CredentialsError as error:
            log.error("certificate.refused", error=str(error))
            return None
        self._stamp = stamp
        if identity == self._identity:  # the same was written again
            return None
        self._identity, self.current = identity, configuration
        log.info("certificate.loaded", certificate=str(self._files.certificate))
        time.sleep(self._settle_s)
        return self.current

    def _look(self) -> tuple[int, ...]:
        paths = (self._files.certificate, self._files.key, self._files.roots)
        return tuple(number for path in paths if path for number in _stamp(path))


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    if identity.key is None:
        message = "a server needs a key file"
        raise CredentialsError(message)
    return grpc.ssl_server_certificate_configuration(
        [(identity.key, identity.certificate)], identity.roots
    )


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (-1, -1, -1)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise CredentialsError(message) from error


def _check_key(files: TlsFiles, pem: bytes, certificate: x509.Certificate) -> None:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = f"{files.key} holds no unencrypted PEM key: {error}"
        raise CredentialsError(message) from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        message = f"{files.key} is not an ECDSA P-256 key"
        raise CredentialsError(message)
    if key.public_key() != certificate.public_key():
        message = f"{files.key} is not the key of {files.certificate}"
        raise CredentialsError(message)
