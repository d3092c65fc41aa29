"""`gridcord match`: replay readings of sites through the matcher.

JSON lines, one object each, on standard input or in a file::

    {"type":"site","site":"a","slot_s":1800,"resolution_wh":1,"registers":"both","hems":"none"}
    {"type":"history","slots":[{...}, ...]}
    {"type":"slot","t":1735689600,"import_wh":310,"export_wh":0,"cable_wh":-750,"hems_wh":null,
     "session":1}
    {"type":"end"}

Each slot is answered with one line before the next is read; the other objects are not answered.
Exit codes: 0 done; 2 the input cannot be replayed (standard error names the line).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gridcord.cli.match_input import (
    MatchInputError,
    parse_message,
    parse_period,
    parse_site,
    read_rows,
)
from gridcord.metering.explanation import explain
from gridcord.metering.matcher import Matcher, observe, open_matcher
from gridcord.metering.matching import (
    Finding,
    Match,
    MatchPolicy,
    MatchRule,
    MeteredSite,
)
from gridcord.metering.site_matcher import OutOfOrder

BAD_INPUT = 2

app = typer.Typer(help="Compare what cables measured with what the sites' meters saw.")


@app.callback()
def main() -> None:
    """Compare what cables measured with what the sites' meters saw."""


@dataclass(slots=True)
class Replay:
    """Takes messages one by one and answers slots; knows one site at a time.

    Args:
        policy: How sure one has to be.
        learn_idle_start: Periods of a site before its first transfer or session are history,
            unless its history is given.
    """

    policy: MatchPolicy
    learn_idle_start: bool = False
    _site: MeteredSite | None = None
    _matcher: Matcher | None = None
    _idle: bool = field(default=True)

    def take(self, message: Mapping[str, Any], *, line: int) -> Match | None:
        """Answer a slot; take anything else in.

        Raises:
            MatchInputError: The message is none, or comes at a wrong time.
        """
        kind = message.get("type", "slot")
        if kind == "site":
            self._begin(parse_site(message, line=line))
        elif kind == "history":
            self._learn(message, line=line)
        elif kind == "end":
            self._site = self._matcher = None
        elif kind == "slot":
            return self._slot(message, line=line)
        else:
            raise MatchInputError(line, f"type is site, history, slot or end, not {kind!r:.80}")
        return None

    def _begin(self, site: MeteredSite) -> None:
        self._site, self._matcher = site, open_matcher(site=site, policy=self.policy)
        self._idle = self.learn_idle_start

    def _learn(self, message: Mapping[str, Any], *, line: int) -> None:
        slots = message.get("slots")
        if not isinstance(slots, list) or not all(isinstance(s, dict) for s in slots):
            raise MatchInputError(line, "slots is a list of objects")
        self._idle = False
        for slot in slots:
            self._observe(slot, line=line, learning=True)

    def _slot(self, message: Mapping[str, Any], *, line: int) -> Match:
        return self._observe(message, line=line, learning=False)

    def _observe(self, fields: Mapping[str, Any], *, line: int, learning: bool) -> Match:
        if self._site is None or self._matcher is None:
            raise MatchInputError(line, "no site was named before")
        period = parse_period(fields, site=self._site, line=line)
        plugged = bool(period.transferred_wh) or period.session is not None
        self._idle = self._idle and not plugged
        try:
            self._matcher, match = observe(
                matcher=self._matcher,
                observation=period,
                policy=self.policy,
                learning=learning or self._idle,
            )
        except OutOfOrder as error:
            raise MatchInputError(line, str(error)) from None
        return match


def answer(match: Match) -> dict[str, Any]:
    """A match as the object that answers a slot."""
    return {
        "verdict": match.finding.value,
        "reason": match.reason.value,
        "expected_change_wh": match.expected_change_wh,
        "observed_change_wh": match.observed_change_wh,
        "uncertainty_wh": match.uncertainty_wh,
        "evidence_nats": round(match.evidence_nats, 3),
        "alternative": match.alternative,
        "odds": round(match.odds, 1),
        "sentence": explain(match),
    }


@app.command()
def replay(
    file: Annotated[
        Path | None, typer.Argument(help="CSV, Parquet or JSON lines; none with --stdin.")
    ] = None,
    *,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Answer JSON lines of standard input, in lock step.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines instead of a table.")
    ] = False,
    rule: Annotated[MatchRule, typer.Option(help="Which rule decides.")] = MatchRule.EVIDENCE,
    difference_wh: Annotated[
        int, typer.Option(min=0, help="Preset difference of the patent's rule, Wh.")
    ] = 200,
    resolution_wh: Annotated[
        int, typer.Option(min=1, help="Register step of a table's site, Wh.")
    ] = 1,
    registers: Annotated[str, typer.Option(help="both or import, of a table's site.")] = "both",
    hems: Annotated[str, typer.Option(help="none, partial or full, of a table's site.")] = "none",
    slot_s: Annotated[int, typer.Option(min=60, help="Seconds of a period of a table.")] = 1800,
) -> None:
    """Say after each period whether the site's meter saw what the cable measured.

    A table (CSV or Parquet with the columns t, import_wh, export_wh, cable_wh, hems_wh, session) is
    about one site; its periods before the first transfer or session are taken as history.
    """
    policy = MatchPolicy(rule=rule, difference_wh=difference_wh)
    facts = {
        "resolution_wh": resolution_wh,
        "registers": registers,
        "hems": hems,
        "slot_s": slot_s,
    }
    if stdin == (file is not None):
        raise typer.BadParameter("give a FILE or --stdin")
    try:
        if file is None:
            _answer_lines(sys.stdin.buffer, policy)
        else:
            _answer_file(file, policy, facts, as_json=as_json)
    except (MatchInputError, OSError) as error:
        typer.echo(f"gridcord: cannot replay {file or 'standard input'}: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from None


def _answer_lines(lines: Iterable[bytes], policy: MatchPolicy) -> None:
    session = Replay(policy=policy)
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        match = session.take(parse_message(text, line=line), line=line)
        if match is not None:
            print(json.dumps(answer(match)), flush=True)


def _answer_file(
    file: Path, policy: MatchPolicy, facts: Mapping[str, Any], *, as_json: bool
) -> None:
    answers = _replayed(file, policy, facts)
    if as_json:
        for fields, match in answers:
            print(json.dumps({"t": fields["t"]} | answer(match), default=str))
    else:
        _print_table(answers)


def _replayed(
    file: Path, policy: MatchPolicy, facts: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], Match]]:
    session = Replay(policy=policy, learn_idle_start=True)
    session.take({"type": "site", **facts}, line=0)
    for line, fields in read_rows(file):
        match = session.take(fields, line=line)
        if match is not None:
            yield fields, match


def _print_table(answers: Iterable[tuple[Mapping[str, Any], Match]]) -> None:
    table = Table("period", "cable Wh", "verdict", "evidence", "explanation")
    counts = dict.fromkeys(Finding, 0)
    for fields, match in answers:
        counts[match.finding] += 1
        if fields.get("cable_wh") or match.finding in (Finding.MISMATCH, Finding.FAULT):
            table.add_row(
                _when(fields["t"]),
                str(fields.get("cable_wh")),
                match.finding.value,
                f"{match.evidence_nats:.1f}",
                explain(match),
            )
    console = Console()
    console.print(table)
    console.print(", ".join(f"{count} {finding.value}" for finding, count in counts.items()))


def _when(start: Any) -> str:
    return str(datetime.fromtimestamp(start, UTC)) if isinstance(start, int) else str(start)


if __name__ == "__main__":
    app()
