"""Attacks A1 and A2: every way we know to be taken for somebody else, over real mutual TLS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gridcord.chassis.admission import CERTIFICATE_EXPIRED, FOREIGN_DOMAIN
from gridcord.chassis.authorization import OPERATORS, Policy
from gridcord.chassis.certificates import Authority, certificate_pem, key_pem, new_key
from gridcord.chassis.guard import IDENTITY_REFUSED, NOT_PERMITTED
from gridcord.testing.clock import ManualClock
from tests.integration.chassis.loopback import CABLE, DOMAIN, WHO, Pki, failure, serving, who

ADMIN = f"spiffe://{DOMAIN}/operator/admin/eve"

CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


@dataclass(frozen=True)
class Forged:
    """A client certificate as an attacker would like it.

    Args:
        names: Alternative names.
        common_name: Of the subject.
        purposes: Extended key usage; None leaves the extension out.
        from_days: Start of its life, days from now.
        to_days: End of its life, days from now.
        authority: "ours", "stranger" (same names, own key), "cable" (issued by a cable's key), or
            "self".
    """

    names: Sequence[x509.GeneralName]
    common_name: str = ""
    purposes: Sequence[x509.ObjectIdentifier] | None = CLIENT
    from_days: float = -1
    to_days: float = 1
    authority: str = "ours"

    def credentials(self, pki: Pki) -> grpc.ChannelCredentials:
        key = new_key()
        issuer, signer, chain = self._issuer(pki, key)
        pem = certificate_pem(self._certificate(key.public_key(), issuer, signer)) + chain
        return grpc.ssl_channel_credentials(pki.files(CABLE).roots.read_bytes(), key_pem(key), pem)

    def _issuer(
        self, pki: Pki, own: ec.EllipticCurvePrivateKey
    ) -> tuple[x509.Name, ec.EllipticCurvePrivateKey, bytes]:
        ours = pki.folder.load()
        match self.authority:
            case "stranger":
                stranger = Authority.create(domain=DOMAIN, now_s=time.time(), days=10)
                return stranger.certificate.subject, stranger.key, b""
            case "cable":
                key = new_key()
                between = Forged([uri(CABLE)], common_name="cable")._certificate(
                    key.public_key(), ours.certificate.subject, ours.key
                )
                return between.subject, key, certificate_pem(between)
            case "self":
                return x509.Name([]), own, b""
            case _:
                return ours.certificate.subject, ours.key, b""

    def _certificate(
        self,
        public_key: ec.EllipticCurvePublicKey,
        issuer: x509.Name,
        signer: ec.EllipticCurvePrivateKey,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        common = self.common_name
        name = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
        builder = (
            x509.CertificateBuilder()
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=self.from_days))
            .not_valid_after(now + timedelta(days=self.to_days))
            .subject_name(x509.Name(name))
            .issuer_name(issuer)
            .public_key(public_key)
        )
        if self.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(self.names), False)
        if self.purposes is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(self.purposes), False)
        return builder.sign(signer, SHA256())


REFUSED_BY_US = {
    "only a common name": Forged([], common_name=ADMIN),
    "a DNS name": Forged([x509.DNSName("operator")]),
    "a DNS name that looks like an id": Forged([x509.DNSName("admin.grid.test")], ADMIN),
    "an e-mail address": Forged([x509.RFC822Name("eve@grid.test")]),
    "two ids": Forged([uri(CABLE), uri(ADMIN)]),
    "an id and another URI": Forged([uri(ADMIN), uri("https://grid.test/")]),
    "no SPIFFE scheme": Forged([uri(f"https://{DOMAIN}/operator/admin/eve")]),
    "parent folders": Forged([uri(f"spiffe://{DOMAIN}/cable/../operator/admin/eve")]),
    "a dot segment": Forged([uri(f"spiffe://{DOMAIN}/cable/./c-0001")]),
    "percent encoding": Forged([uri(f"spiffe://{DOMAIN}/cable/c%2D0001")]),
    "upper case": Forged([uri(f"spiffe://{DOMAIN}/cable/C-0001")]),
    "upper case kind": Forged([uri(f"spiffe://{DOMAIN}/Operator/admin/eve")]),
    "a trailing slash": Forged([uri(f"{ADMIN}/")]),
    "a trailing segment": Forged([uri(f"{CABLE}/admin")]),
    "a line end": Forged([uri(f"{ADMIN}\n")]),
    "a query": Forged([uri(f"{CABLE}?role=admin")]),
    "a fragment": Forged([uri(f"{CABLE}#admin")]),
    "a user": Forged([uri(f"spiffe://eve@{DOMAIN}/operator/admin/eve")]),
    "a port": Forged([uri(f"spiffe://{DOMAIN}:443/operator/admin/eve")]),
    "no kind": Forged([uri(f"spiffe://{DOMAIN}/eve")]),
    "an unknown kind": Forged([uri(f"spiffe://{DOMAIN}/root/eve")]),
    "an operator without role": Forged([uri(f"spiffe://{DOMAIN}/operator/eve")]),
    "an unknown role": Forged([uri(f"spiffe://{DOMAIN}/operator/root/eve")]),
    "a role of a cable": Forged([uri(f"spiffe://{DOMAIN}/cable/admin/c-0001")]),
    "an empty id": Forged([uri(f"spiffe://{DOMAIN}/cable/")]),
    "an id of 65 characters": Forged([uri(f"spiffe://{DOMAIN}/cable/{'c' * 65}")]),
    "no purpose": Forged([uri(ADMIN)], purposes=None),
}

REFUSED_BY_TLS = {
    "a stranger's authority of our name": Forged([uri(ADMIN)], authority="stranger"),
    "signed by itself": Forged([uri(ADMIN)], authority="self"),
    "issued by a cable": Forged([uri(ADMIN)], authority="cable"),
    "expired": Forged([uri(ADMIN)], from_days=-2, to_days=-1),
    "not yet valid": Forged([uri(ADMIN)], from_days=1, to_days=2),
    "for servers only": Forged([uri(ADMIN)], purposes=SERVER),
}


async def _attempt(pki: Pki, credentials: grpc.ChannelCredentials) -> Any:
    async with serving(pki) as served, served.channel(credentials=credentials) as channel:
        return await failure(channel.unary_unary(WHO)(b"", timeout=10))


@pytest.mark.parametrize("forged", REFUSED_BY_US.values(), ids=REFUSED_BY_US)
def test_a_certificate_that_names_nobody_of_ours_is_refused(pki: Pki, forged: Forged) -> None:
    refused = asyncio.run(_attempt(pki, forged.credentials(pki)))

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        IDENTITY_REFUSED,
    )


@pytest.mark.parametrize("forged", REFUSED_BY_TLS.values(), ids=REFUSED_BY_TLS)
def test_a_certificate_that_is_not_good_gets_no_connection(pki: Pki, forged: Forged) -> None:
    refused = asyncio.run(_attempt(pki, forged.credentials(pki)))

    assert refused.code is grpc.StatusCode.UNAVAILABLE


def test_the_forger_is_able_to_make_a_good_one(pki: Pki) -> None:
    good = Forged([uri(ADMIN)], common_name="whatever")

    async def scenario() -> str:
        async with (
            serving(pki) as served,
            served.channel(credentials=good.credentials(pki)) as channel,
        ):
            return await who(channel)

    assert asyncio.run(scenario()) == ADMIN


def test_without_a_certificate_there_is_no_connection(pki: Pki) -> None:
    roots = pki.files(CABLE).roots.read_bytes()

    refused = asyncio.run(_attempt(pki, grpc.ssl_channel_credentials(roots)))

    assert refused.code is grpc.StatusCode.UNAVAILABLE


def test_without_tls_there_is_no_connection(pki: Pki) -> None:
    async def scenario() -> grpc.StatusCode:
        async with serving(pki) as served:
            channel: Any = grpc.aio.insecure_channel(served.address)
            refused = await failure(channel.unary_unary(WHO)(b"", timeout=10))
            await channel.close()
            return refused.code

    assert asyncio.run(scenario()) is grpc.StatusCode.UNAVAILABLE


def test_our_authority_vouches_for_our_domain_only(pki: Pki) -> None:
    forged = Forged([uri("spiffe://other.test/operator/admin/eve")])

    refused = asyncio.run(_attempt(pki, forged.credentials(pki)))

    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, FOREIGN_DOMAIN)


def test_a_certificate_that_expired_on_an_open_connection_is_refused(pki: Pki) -> None:
    clock = ManualClock(time.time())

    async def scenario() -> Any:
        async with serving(pki, clock=clock) as served, served.channel() as channel:
            assert await who(channel) == CABLE
            clock.step(31 * 86400)
            return await failure(channel.unary_unary(WHO)(b"", timeout=10))

    refused = asyncio.run(scenario())
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        CERTIFICATE_EXPIRED,
    )


def test_the_honest_are_known_by_their_certificate_whatever_they_claim(pki: Pki) -> None:
    async def scenario() -> str:
        async with serving(pki) as served, served.channel(CABLE) as channel:
            call = channel.unary_unary(WHO)(
                ADMIN.encode(),
                metadata=(("peer_spiffe_id", ADMIN), ("x-forwarded-client-cert", ADMIN)),
                timeout=10,
            )
            answer: bytes = await call
            return answer.decode()

    assert asyncio.run(scenario()) == CABLE


@pytest.mark.parametrize(
    ("path", "permitted"),
    [
        ("operator/admin/alice", True),
        ("operator/operator/olga", True),
        ("operator/viewer/vera", False),
        ("cable/operator", False),
        ("driver/admin", False),
        ("manager/main", False),
    ],
)
def test_a_role_is_a_segment_of_its_own(pki: Pki, path: str, permitted: bool) -> None:
    async def scenario() -> Any:
        policy = Policy({WHO: OPERATORS})
        spiffe = f"spiffe://{DOMAIN}/{path}"
        async with serving(pki, policy=policy) as served, served.channel(spiffe) as channel:
            if permitted:
                return await who(channel)
            return (await failure(channel.unary_unary(WHO)(b"", timeout=10))).reason

    expected = f"spiffe://{DOMAIN}/{path}" if permitted else NOT_PERMITTED
    assert asyncio.run(scenario()) == expected
