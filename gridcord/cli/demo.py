"""`gridcord demo`: see everything work, on simulated houses, in a minute or two."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gridcord.chassis.exit_codes import ExitCode
from gridcord.chassis.logging import configure_logging
from gridcord.chassis.process import run as run_process
from gridcord.chassis.sections import LogSettings
from gridcord.simulation.demo.director import Director, View
from gridcord.simulation.demo.plan import PERIOD_S, ZONE, DemoPlan, Scenario, make_plan
from gridcord.simulation.demo.stage import scenario_notes
from gridcord.simulation.demo.summary import Summary

app = typer.Typer(help="See everything work on simulated houses.")

_PERMISSIONS = {1: "none", 2: "charge only", 3: "both ways", 4: "charge to SoC"}
_VERDICTS = {1: "[green]matched[/]", 2: "[red]MISMATCHED[/]", 3: "undecided"}


@app.callback(invoke_without_command=True)
def demo(
    scenario: Annotated[Scenario, typer.Option(help="What is played.")] = Scenario.DAY,
    houses: Annotated[int, typer.Option(min=2, max=64, help="How many.")] = 8,
    periods: Annotated[
        int,
        typer.Option(
            min=3,
            max=480,
            help="Half hours; from 10 on a house diverts energy, in fraud from 24 on one lies.",
        ),
    ] = 12,
    speed: Annotated[
        float, typer.Option(min=1, max=3600, help="Simulated seconds per real second.")
    ] = 240.0,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 1,
    keep: Annotated[
        Path | None, typer.Option(help="Keep data, logs and settings in this new folder.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
) -> None:
    """Run the shipped programs against simulated houses and print the figures of the day."""
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise typer.BadParameter(f"{keep} is not empty: name a new folder", param_hint="--keep")
    plan = make_plan(scenario=scenario, houses=houses, periods=periods, speed=speed, seed=seed)
    folder = keep or Path(tempfile.mkdtemp(prefix="gridcord-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        summary = run_process(_play(plan, folder.absolute()))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if json_file is not None:
        json_file.write_text(json.dumps(summary.as_json(), indent=2) + "\n", "utf-8")
    Console().print(report(summary))
    if summary.problems:
        raise typer.Exit(ExitCode.NEGATIVE)


async def _play(plan: DemoPlan, folder: Path) -> Summary:
    console = Console()
    note = scenario_notes(plan.scenario)
    console.print(
        f"[bold]Gridcord demo[/] · {len(plan.houses)} houses, {plan.periods} half hours, "
        f"{plan.speed:g} times as fast · {note} · seed {plan.seed}"
    )
    with (folder / "demo.log").open("a", encoding="utf-8") as log_file:
        configure_logging(LogSettings(format="json"), program="demo", stream=log_file)
        with Live(console=console, refresh_per_second=4, transient=False) as live:
            told: list[str] = []

            def show(view: View) -> None:
                if console.is_terminal:
                    live.update(picture(view, plan))
                elif view.stage not in told:
                    told.append(view.stage)
                    live.console.print(f"  {view.stage}")

            director = Director(plan, folder, show)
            task = asyncio.ensure_future(director.play())
            try:
                return await task
            except asyncio.CancelledError:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise
            finally:
                _note(folder, director)


def _note(folder: Path, director: Director) -> None:
    """Where a kept demonstration's manager was, for `--data`; the folder may be moved."""
    from gridcord.chassis.channel import server_name
    from gridcord.chassis.identity import Kind, Role
    from gridcord.simulation.demo.plan import DOMAIN

    files = director.stage.identity(Kind.OPERATOR, "demo", Role.ADMIN)
    facts = {
        "manager": director.manager_address,
        "tls": os.path.relpath(files.certificate.parent, folder),
        "server_name": server_name(Kind.MANAGER, DOMAIN),
        "database": "manager/manager.db",
    }
    (folder / "demo.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def picture(view: View, plan: DemoPlan) -> Group:
    """What a spectator sees while it runs."""
    done = (view.at_s - plan.start_s) / PERIOD_S
    clock = f"half hour {max(0.0, done):5.1f} of {plan.periods}"
    table = Table(expand=False)
    for name in ("cable", "site", "power W", "SoC %", "may", "last match", "evidence"):
        table.add_column(name, justify="right" if name in ("power W", "SoC %") else "left")
    for session in view.sessions:
        table.add_row(*_row(session, view))
    lines: list[Any] = [Text(f"{clock} · {view.stage}"), table]
    if view.demand is not None:
        lines.append(
            Text(
                f"market: asked for {-view.demand.requested_wh} Wh, "
                f"given {-view.demand.delivered_wh} Wh"
            )
        )
    return Group(*lines)


def _row(session: Any, view: View) -> list[str]:
    site, resource = view.sites.get(session.site_id), view.resources.get(session.cable_id)
    telemetry = resource.telemetry if resource is not None else None
    match = site.last_match if site is not None and site.HasField("last_match") else None
    return [
        session.cable_id,
        session.site_id,
        str(session.power_w) if session.HasField("power_w") else "-",
        f"{telemetry.state_of_charge_percent:.0f}" if telemetry is not None else "-",
        _PERMISSIONS.get(session.permission, "none"),
        _VERDICTS.get(match.verdict, "") if match is not None else "-",
        f"{site.evidence_nats:.1f}" if site is not None else "-",
    ]


def _slots(summary: Summary) -> Table:
    """Contract against delivery, half hour by half hour; what is given to the grid is positive."""
    table = Table(title="Contract and delivery, kWh to the grid")
    for name in ("half hour", "offered", "sold", "asked for", "given", "off by", "imbalance"):
        table.add_column(name, justify="right")
    for slot in summary.slots:
        micros = slot.imbalance_micros
        off_wh = slot.requested_wh - slot.delivered_wh
        table.add_row(
            f"{datetime.fromtimestamp(slot.start_s, ZoneInfo(ZONE)):%H:%M}",
            f"{-slot.offered_wh / 1000:.2f}",
            f"{-slot.contracted_wh / 1000:.2f}",
            f"{-slot.requested_wh / 1000:.2f}",
            f"{-slot.delivered_wh / 1000:.2f}",
            f"{off_wh / 1000:+.2f}",
            "-" if micros is None else f"{micros / 1_000_000:.2f} {summary.currency}",
        )
    return table


def report(summary: Summary) -> Group:
    """The figures of the day."""
    table = Table(title="The day in figures", show_header=False)
    kwh = 1000
    for name, value in (
        ("records produced / stored", f"{summary.records_produced} / {summary.records_stored}"),
        ("lost / duplicated", f"{summary.records_lost} / {summary.records_duplicated}"),
        ("quarantined", f"{summary.records_quarantined}"),
        (
            "told the utility / of no site yet",
            f"{summary.forwarded_transfers} / {summary.unsited_transfers}",
        ),
        ("charged", f"{summary.charged_wh / kwh:.2f} kWh"),
        ("discharged", f"{summary.discharged_wh / kwh:.2f} kWh"),
        ("sold to the market", f"{-summary.contracted_wh / kwh:.2f} kWh"),
        (
            "asked for / given",
            f"{-summary.demand_wh / kwh:.2f} / {-summary.delivered_wh / kwh:.2f} kWh",
        ),
        ("drivers earned", f"{summary.earnings_micros / 1_000_000:.2f} {summary.currency}"),
        ("verdicts", ", ".join(f"{k} {v}" for k, v in summary.verdicts.items())),
        ("kills of the manager / cut links", f"{summary.manager_kills} / {summary.link_cuts}"),
        ("took", f"{summary.elapsed_s:.0f} s"),
    ):
        table.add_row(name, value)
    lines: list[Any] = [_slots(summary), table]
    for site_id in sorted({*summary.blocked_sites, *summary.cheating_sites}):
        cheats = "cheats" if site_id in summary.cheating_sites else "is honest"
        state = "BLOCKED" if site_id in summary.blocked_sites else "not blocked"
        why = summary.block_reasons.get(site_id, "")
        lines.append(Text(f"  {site_id} {cheats}: {state}{': ' + why if why else ''}"))
    lines += [Text(f"  PROBLEM: {problem}", style="bold red") for problem in summary.problems]
    if not summary.problems:
        lines.append(Text("  everything that was produced is stored once", style="green"))
    return Group(*lines)


if __name__ == "__main__":
    app()
