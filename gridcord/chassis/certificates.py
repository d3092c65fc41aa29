"""A development authority: ECDSA P-256 certificates that carry one SPIFFE id.

Production brings its own authority; what it must issue is what `issue` makes (docs/security.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gridcord.chassis.identity import Kind, Principal, read_peer

IpAddress = IPv4Address | IPv6Address

SERVERS = frozenset({Kind.MANAGER, Kind.MARKET, Kind.UTILITY})

_BACKDATED = timedelta(minutes=5)  # for peers whose clocks are behind


class AuthorityError(ValueError):
    """An authority cannot issue this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a certificate says about its owner.

    Args:
        principal: Becomes the one URI name.
        dns: Host names of a server.
        ips: Addresses of a server.
    """

    principal: Principal
    dns: Sequence[str] = ()
    ips: Sequence[IpAddress] = ()

    @property
    def serves(self) -> bool:
        """Whether its owner may also act as a server."""
        return bool(self.dns or self.ips)


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority's certificate and key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, *, domain: str, now_s: float, days: int) -> Authority:
        """Make a new authority for a trust domain.

        Args:
            domain: Trust domain; the certificate may be used for its ids only.
            now_s: Start of its life, seconds since 1970.
            days: Length of its life.
        """
        key = new_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{domain} development CA")])
        builder = (
            _builder(now_s, days)
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        spiffe = x509.UniformResourceIdentifier(f"spiffe://{domain}")
        builder = builder.add_extension(x509.SubjectAlternativeName([spiffe]), critical=False)
        return cls(builder.sign(key, SHA256()), key)

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Authority:
        """Read an authority from PEM.

        Raises:
            AuthorityError: Not PEM, no authority of ours, or not its key.
        """
        try:
            loaded = cls(x509.load_pem_x509_certificate(certificate), _p256(key))
        except (ValueError, TypeError) as error:
            message = f"no authority: {error}"
            raise AuthorityError(message) from error
        if loaded.key.public_key() != loaded.certificate.public_key():
            message = "the authority's key is not its certificate's"
            raise AuthorityError(message)
        return loaded

    @property
    def domain(self) -> str:
        """The trust domain it issues for."""
        names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        return uris[0].removeprefix("spiffe://")

    def issue(
        self, names: Names, *, public_key: ec.EllipticCurvePublicKey, now_s: float, days: float
    ) -> x509.Certificate:
        """Issue a certificate for a client, that may also serve when it has host names.

        Args:
            names: Whom it names.
            public_key: The owner's.
            now_s: Start of its life, seconds since 1970.
            days: Length of its life, cut at the authority's own end.

        Raises:
            AuthorityError: The principal is of another trust domain.
        """
        if names.principal.domain != self.domain:
            message = f"{names.principal} is not of the domain {self.domain}"
            raise AuthorityError(message)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _builder(now_s, days, latest=self.certificate.not_valid_after_utc)
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(_purposes(names), critical=False)
            .add_extension(issuer, critical=False)
            .add_extension(_alternative_names(names), critical=True)
        )
        return builder.sign(self.key, SHA256())


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make an ECDSA P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as unencrypted PKCS 8 PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a P-256 key from PEM.

    Raises:
        AuthorityError: It is not one.
    """
    try:
        return _p256(pem)
    except (ValueError, TypeError) as error:
        message = f"no P-256 key: {error}"
        raise AuthorityError(message) from error


def names_of(pem: bytes) -> Names:
    """The names in a certificate of ours, to issue its successor.

    Raises:
        IdentityError: It names nobody of this system.
    """
    found = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return Names(
        principal=read_peer(pem).principal,
        dns=tuple(found.value.get_values_for_type(x509.DNSName)),
        ips=tuple(
            ip
            for ip in found.value.get_values_for_type(x509.IPAddress)
            if isinstance(ip, IPv4Address | IPv6Address)
        ),
    )


def _p256(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        message = "the key is not ECDSA P-256"
        raise ValueError(message)
    return key


def _builder(now_s: float, days: float, latest: datetime | None = None) -> x509.CertificateBuilder:
    begin = datetime.fromtimestamp(now_s, UTC)
    end = begin + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - _BACKDATED)
        .not_valid_after(min(end, latest) if latest else end)
    )


def _alternative_names(names: Names) -> x509.SubjectAlternativeName:
    uri: list[x509.GeneralName] = [x509.UniformResourceIdentifier(str(names.principal))]
    hosts = [x509.DNSName(host) for host in names.dns]
    return x509.SubjectAlternativeName([*uri, *hosts, *(x509.IPAddress(ip) for ip in names.ips)])


def _purposes(names: Names) -> x509.ExtendedKeyUsage:
    serves = [ExtendedKeyUsageOID.SERVER_AUTH] if names.serves else []
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, *serves])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
