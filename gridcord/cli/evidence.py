"""`gridcord evidence`: check what was earned and billed, without a server.

Exit codes of `verify`: 0 everything follows; 1 something does not (the first record is named), or
`--complete` was asked for and something is withheld, lost or set apart; 2 a file cannot be used.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gridcord.chassis.exit_codes import ExitCode
from gridcord.cli.connection import (
    Data,
    Manager,
    ServerName,
    Tls,
    ask,
    connection,
    demo_fact,
    demo_folder,
)
from gridcord.cli.ending import CommandError
from gridcord.cli.evidence_file import IncompleteFile, received
from gridcord.cli.tables import AsJson, From, To, within
from gridcord.evidence.bundle import BundleSource, Report, Trust, verify
from gridcord.evidence.bundle_export import DoesNotVerify, export_bundle, fault_text
from gridcord.evidence.signature import SignatureError
from gridcord.evidence.signing_key import read_signing_key
from gridcord.units import Money

app = typer.Typer(help="Signed records, and what was earned and billed by them.")

SOURCES = "gridcord.evidence_sources"  # entry points that open a program's records

_MOST_KEY_BYTES = 64 * 1024


@app.callback()
def main() -> None:
    """Signed records, and what was earned and billed by them."""


@app.command("verify")
def verify_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle, a .zip file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    root: Annotated[str, typer.Option(help="The root that was announced for it.")] = "",
    signer_key: Annotated[
        Path | None, typer.Option(help="The aggregator's public key, PEM or DER.")
    ] = None,
    cable_key: Annotated[
        list[str] | None,
        typer.Option(help="An enrolled key, as CABLE=FILE (PEM or DER); may be repeated."),
    ] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Also demand that nothing is left out.")
    ] = False,
) -> None:
    """Derive every verdict, earning and bill of a bundle again; name the first that differs."""
    trust = Trust(
        root=root.lower(),
        signer_key=b"" if signer_key is None else _key(signer_key),
        cable_keys=dict(_named_key(each) for each in cable_key or ()),
    )
    try:
        report = verify(bundle, trust=trust)
    except OSError as failure:
        message = f"{bundle} cannot be read: {failure.strerror}"
        raise CommandError(message) from failure
    if as_json:
        typer.echo(json.dumps(_plain(report), indent=1))
    else:
        _print(report, bundle, trust)
    if report.ok and complete and not report.complete:
        message = f"{bundle} verifies but is not complete"
        raise CommandError(message, exit_code=ExitCode.NEGATIVE)
    if not report.ok:
        raise typer.Exit(ExitCode.NEGATIVE)


@app.command("export")
def export_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write, .zip.")],
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="FILE|URL",
            help="The manager's: SQLite file, PostgreSQL address, or its settings (.toml).",
        ),
    ] = None,
    site: Annotated[str, typer.Option(help="About this site; all if neither is said.")] = "",
    driver: Annotated[str, typer.Option(help="About all sites where this driver was.")] = "",
    start: From = None,
    end: To = None,
    signing_key: Annotated[
        Path | None,
        typer.Option(help="The aggregator's private key, PEM or DER; with --database or --data."),
    ] = None,
    as_json: AsJson = False,
    manager: Manager = None,
    tls: Tls = None,
    server_name: ServerName = None,
    data: Data = None,
) -> None:
    """Write a bundle from a manager or from its database, and verify it before it leaves.

    It is about a site, a driver, or everything. Without --database, --data means the database of a
    kept demo; else a manager is asked.
    """
    if site and driver:
        message = "give --site or --driver, or neither for all sites"
        raise CommandError(message)
    times = within(start, end)
    folder = None if manager else demo_folder(data)
    kept = database or (None if folder is None else demo_fact(folder, "database"))
    try:
        if kept:
            asked = {"site_id": site, "driver_id": driver}
            signer = None if signing_key is None else read_signing_key(signing_key)
            with _source()(kept, **asked, from_s=times.start_s, to_s=times.end_s) as source:
                export_bundle(source, output, created_s=int(time.time()), signer=signer)
        else:
            if signing_key is not None:
                message = "a manager signs by its own settings: --signing-key goes with --database"
                raise CommandError(message)
            link = connection(manager, tls, server_name, data)
            ask(
                link,
                lambda c: received(
                    c.evidence(site_id=site, driver_id=driver, within=times), output
                ),
            )
    except OSError as failure:
        message = f"{output} cannot be written: {failure.strerror}"
        raise CommandError(message) from failure
    except (DoesNotVerify, IncompleteFile) as failure:
        raise CommandError(str(failure), exit_code=ExitCode.NEGATIVE) from failure
    except SignatureError as failure:
        raise CommandError(str(failure)) from failure
    _exported(output, as_json=as_json)


def _exported(path: Path, *, as_json: bool) -> None:
    report = verify(path)
    if as_json:
        typer.echo(json.dumps({"root": report.root, "lines": dict(report.lines)}, indent=1))
    else:
        typer.echo(f"{path} verifies; root {report.root}")


def _source() -> Callable[..., AbstractContextManager[BundleSource]]:
    """How to open what a program keeps; programs bring it, this library knows none."""
    for entry in entry_points(group=SOURCES):
        source: Callable[..., AbstractContextManager[BundleSource]] = entry.load()
        return source
    message = "no program that keeps records is installed here"
    raise CommandError(message)


def _named_key(text: str) -> tuple[str, bytes]:
    cable_id, equals, file = text.partition("=")
    if not equals:
        message = f"--cable-key takes CABLE=FILE, not {text!r}"
        raise CommandError(message)
    return cable_id, _key(Path(file))


def _key(path: Path) -> bytes:
    """The public key of a file, DER SubjectPublicKeyInfo."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_KEY_BYTES)
        load = load_pem_public_key if data.startswith(b"-----") else load_der_public_key
        return load(data).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (OSError, ValueError, UnsupportedAlgorithm) as failure:
        message = f"{path} is no public key: {failure}"
        raise CommandError(message) from failure


def _plain(report: Report) -> dict[str, Any]:
    problem = report.problem
    return {
        "ok": report.ok,
        "complete": report.complete,
        "problem": None
        if problem is None
        else {
            "member": problem.member,
            "line": problem.line,
            "record": problem.record,
            "reason": problem.reason,
        },
        "root": report.root,
        "signer": report.signer,
        "lines": dict(report.lines),
        "signed_entries": report.signed_entries,
        "withheld": report.withheld,
        "quarantined": report.quarantined,
        "gaps": report.gaps,
        "taken_over": report.taken_over,
        "rulings": report.rulings,
        "partial": report.partial,
        "hidden_results": report.hidden_results,
        "telemetry_results": report.telemetry_results,
        "unproven_payouts": report.unproven_payouts,
        "breaks": report.breaks,
        "balances": [
            {"account": each.account, "currency": each.currency, "micros": each.micros}
            for each in report.balances
        ],
    }


def _print(report: Report, path: Path, trust: Trust) -> None:
    console = Console()
    if report.problem is not None:
        console.print(f"[bold red]{escape(str(path))} does not verify[/]")
        console.print(escape(fault_text(report.problem)), soft_wrap=True)
        return
    table = Table("verified", "count", show_edge=False)
    for member, count in report.lines.items():
        table.add_row(member.replace("_", " "), f"{count:,}")
    table.add_row("signatures of cables", f"{report.signed_entries:,}")
    console.print(table)
    owed = Table("account", "is owed", show_edge=False)
    for balance in report.balances:
        owed.add_row(escape(balance.account), str(Money(balance.currency, balance.micros)))
    console.print(owed)
    for note in _notes(report, trust):
        console.print(f"[yellow]{escape(note)}[/]", soft_wrap=True)
    console.print(f"root {report.root}", soft_wrap=True)
    console.print(f"[bold green]{escape(str(path))} verifies[/]")


def _notes(report: Report, trust: Trust) -> list[str]:
    """What a reader should know although nothing is wrong."""
    notes = []
    if not trust.root and not trust.signer_key:
        notes.append("nobody vouches for it: compare the root, or give --signer-key")
    if not trust.cable_keys:
        notes.append("the cables' keys are the bundle's own: give --cable-key to check them")
    if report.withheld:
        notes.append(f"{report.withheld} entries are shown by their digest only")
    if report.partial:
        notes.append(
            "it is about a site or driver: the market's results are not in it, "
            "and payouts only of accounts that earned nowhere else"
        )
    if report.hidden_results:
        notes.append(
            f"market results shown by their figures and digest only: {report.hidden_results}; "
            "a bundle of everything shows what they were made of"
        )
    if report.telemetry_results:
        notes.append(
            f"market results that count energy which no cable recorded: {report.telemetry_results}"
        )
    for title, names in (
        ("a cable declared a loss before", report.gaps),
        (
            "the match goes on from a state that only the aggregator vouches for at",
            report.taken_over,
        ),
        ("a proof or a person settled what the meter had said at", report.rulings),
        ("until when it paid was not kept:", report.unproven_payouts),
        ("registers do not go on at", report.breaks),
        ("signed but not believed:", report.quarantined),
    ):
        notes += [f"{title} {name}" for name in names]
    return notes
