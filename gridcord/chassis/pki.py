"""A development authority in a folder, as `gridcord ca` keeps it.

    <folder>/ca/certificate.pem, key.pem            the authority
    <folder>/manager-main/certificate.pem, key.pem, roots.pem
    <folder>/cable-0001/...                         one folder per identity, to copy to its machine

Everything is readable by its owner only, and nothing is overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from gridcord.chassis.certificates import (
    SERVERS,
    Authority,
    AuthorityError,
    IpAddress,
    Names,
    certificate_pem,
    key_pem,
    load_key,
    names_of,
    new_key,
)
from gridcord.chassis.credentials import TlsFiles
from gridcord.chassis.identity import Peer, Principal, read_peer

CERTIFICATE = "certificate.pem"
KEY = "key.pem"
ROOTS = "roots.pem"

_OWNER_ONLY = 0o600
_LOCAL_IPS = (ip_address("127.0.0.1"), ip_address("::1"))


@dataclass(frozen=True, slots=True)
class PkiFolder:
    """An authority's folder.

    Args:
        path: Need not exist before `create`.
    """

    path: Path

    def create(self, *, domain: str, now_s: float, days: int = 3650) -> Path:
        """Make the authority.

        Args:
            domain: Trust domain.
            now_s: Start of its life, seconds since 1970.
            days: Length of its life.

        Returns:
            Its certificate.

        Raises:
            FileExistsError: There is one already.
            OSError: The folder cannot be written.
        """
        authority = Authority.create(domain=domain, now_s=now_s, days=days)
        _write_new(self._authority / KEY, key_pem(authority.key))
        _write_new(self._authority / CERTIFICATE, certificate_pem(authority.certificate))
        return self._authority / CERTIFICATE

    def load(self) -> Authority:
        """Read the authority.

        Raises:
            AuthorityError: There is none, or it is damaged.
        """
        try:
            certificate = (self._authority / CERTIFICATE).read_bytes()
            key = (self._authority / KEY).read_bytes()
        except OSError as error:
            message = f"no authority in {self.path}: run `gridcord ca init` first ({error})"
            raise AuthorityError(message) from error
        return Authority.load(certificate, key)

    def issue(
        self,
        principal: Principal,
        *,
        now_s: float,
        days: float = 30,
        dns: Sequence[str] = (),
        ips: Sequence[IpAddress] = (),
    ) -> TlsFiles:
        """Make an identity: key, certificate and roots.

        Args:
            principal: Whose.
            now_s: Start of the certificate's life, seconds since 1970.
            days: Length of its life.
            dns: Host names; a server's own name (`channel.server_name`) is always added.
            ips: Addresses; servers get this machine's loopback when neither is given.

        Raises:
            AuthorityError: No authority, or it is for another domain.
            FileExistsError: The identity exists: renew it.
        """
        authority = self.load()
        names = _names(principal, dns, ips)
        key = new_key()
        certificate = authority.issue(names, public_key=key.public_key(), now_s=now_s, days=days)
        files = self.files(principal)
        assert files.key is not None
        _write_new(files.key, key_pem(key))
        _write_new(files.certificate, certificate_pem(certificate))
        _write_new(files.roots, certificate_pem(authority.certificate))
        return files

    def renew(
        self, folder: Path, *, now_s: float, days: float = 30, with_new_key: bool = False
    ) -> Peer:
        """Replace an identity's certificate by one with the same names.

        The file is swapped at once, so a running server takes either the old or the new one;
        with a new key there is a moment in which key and certificate do not fit, and servers
        keep what they have until they do.

        Args:
            folder: The identity's.
            now_s: Start of the new certificate's life, seconds since 1970.
            days: Length of its life.
            with_new_key: Whether to replace the key as well.

        Returns:
            What the new certificate says.

        Raises:
            AuthorityError: No authority, or the key is damaged.
            IdentityError: The old certificate names nobody of this system.
            OSError: The identity is not there.
        """
        names = names_of((folder / CERTIFICATE).read_bytes())
        key = new_key() if with_new_key else load_key((folder / KEY).read_bytes())
        certificate = self.load().issue(names, public_key=key.public_key(), now_s=now_s, days=days)
        if with_new_key:
            _replace(folder / KEY, key_pem(key))
        _replace(folder / CERTIFICATE, certificate_pem(certificate))
        return read_peer(certificate_pem(certificate))

    def files(self, principal: Principal) -> TlsFiles:
        """Where an identity is."""
        folder = self.path / f"{principal.kind.value}-{principal.id}"
        return TlsFiles(certificate=folder / CERTIFICATE, key=folder / KEY, roots=folder / ROOTS)

    @property
    def _authority(self) -> Path:
        return self.path / "ca"


def _names(principal: Principal, dns: Sequence[str], ips: Sequence[IpAddress]) -> Names:
    if principal.kind not in SERVERS:
        return Names(principal=principal, dns=dns, ips=ips)
    own = f"{principal.kind.value}.{principal.domain}"
    if not dns and not ips:
        dns, ips = ("localhost",), _LOCAL_IPS
    return Names(principal=principal, dns=(own, *dns), ips=ips)


def _write_new(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, _OWNER_ONLY), "wb") as file:
        file.write(content)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    _write_new(draft, content)
    draft.replace(path)
