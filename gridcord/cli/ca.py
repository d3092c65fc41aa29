"""`gridcord ca`: a development authority."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import typer

from gridcord.chassis.certificates import AuthorityError, IpAddress
from gridcord.chassis.identity import (
    IdentityError,
    Kind,
    Peer,
    Principal,
    Role,
    parse_principal,
    read_peer,
)
from gridcord.chassis.pki import CERTIFICATE, PkiFolder
from gridcord.cli.ending import CommandError

app = typer.Typer(
    help="Make certificates for development and tests; production brings its own authority.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("--folder", "-f", help="Where the authority is kept.")]
Days = Annotated[float, typer.Option(min=0.01, help="Length of the certificate's life.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]

_FOLDER = Path("pki")


@app.command()
def init(
    domain: Annotated[str, typer.Argument(help="Trust domain, such as grid.example.")],
    folder: Folder = _FOLDER,
    days: Annotated[int, typer.Option(min=1, help="Length of the authority's life.")] = 3650,
    as_json: AsJson = False,
) -> None:
    """Make an authority for a trust domain."""
    _known(f"spiffe://{domain}/manager/main")
    certificate = _done(
        lambda: PkiFolder(folder).create(domain=domain, now_s=time.time(), days=days)
    )
    _answer({"domain": domain, "certificate": str(certificate)}, as_json=as_json)


@app.command()
def issue(
    kind: Annotated[Kind, typer.Argument(help="What the owner is.")],
    id_: Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits, hyphens.")],
    role: Annotated[Role | None, typer.Option(help="Of an operator.")] = None,
    dns: Annotated[list[str] | None, typer.Option(help="Host name of a server.")] = None,
    ip: Annotated[list[str] | None, typer.Option(help="Address of a server.")] = None,
    days: Days = 30,
    folder: Folder = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """Make a key and a certificate for somebody."""
    pki = PkiFolder(folder)
    domain = _done(lambda: pki.load().domain)
    principal = _principal(domain, kind, id_, role)
    ips = [_ip(text) for text in ip or ()]
    files = _done(
        lambda: pki.issue(principal, now_s=time.time(), days=days, dns=dns or (), ips=ips)
    )
    _answer(
        _facts(read_peer(files.certificate.read_bytes()), files.certificate.parent), as_json=as_json
    )


@app.command()
def renew(
    identity: Annotated[Path, typer.Argument(help="Folder of the identity, made by issue.")],
    days: Days = 30,
    with_new_key: Annotated[bool, typer.Option("--new-key", help="Replace the key too.")] = False,
    folder: Folder = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """Replace a certificate by one with the same names and a new life."""
    peer = _done(
        lambda: PkiFolder(folder).renew(
            identity, now_s=time.time(), days=days, with_new_key=with_new_key
        )
    )
    _answer(_facts(peer, identity), as_json=as_json)


@app.command()
def show(
    certificate: Annotated[Path, typer.Argument(help="Certificate, or the folder it is in.")],
    as_json: AsJson = False,
) -> None:
    """Say whom a certificate names, until when, and how a deny list names it."""
    path = certificate / CERTIFICATE if certificate.is_dir() else certificate
    _answer(_facts(_done(lambda: read_peer(path.read_bytes())), path.parent), as_json=as_json)


def _principal(domain: str, kind: Kind, id_: str, role: Role | None) -> Principal:
    if (kind is Kind.OPERATOR) != (role is not None):
        message = "an operator needs --role, and nobody else has one"
        raise CommandError(message)
    return _known(str(Principal(domain=domain, kind=kind, id=id_, role=role)))


def _known(spiffe: str) -> Principal:
    try:
        return parse_principal(spiffe)
    except IdentityError as error:
        raise CommandError(str(error)) from error


def _ip(text: str) -> IpAddress:
    try:
        return ip_address(text)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _done(act: Any) -> Any:
    try:
        return act()
    except FileExistsError as error:
        message = f"{error.filename} exists and is kept: choose another folder, or renew"
        raise CommandError(message) from error
    except (AuthorityError, IdentityError, OSError, ValueError) as error:
        raise CommandError(str(error)) from error


def _facts(peer: Peer, folder: Path) -> dict[str, str]:
    return {
        "identity": str(peer.principal),
        "expires": datetime.fromtimestamp(peer.not_after_s, UTC).isoformat(),
        "serial": f"serial:{peer.serial}",
        "fingerprint": f"sha256:{peer.fingerprint}",
        "folder": str(folder),
    }


def _answer(facts: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for key, value in facts.items():
        typer.echo(f"{key:<12} {value}")
