"""`match replay`: tables, JSON lines, lock step through a real process, errors with their line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from gridcord.cli.match import app
from gridcord.metering.matcher import observe
from gridcord.metering.matching import MatchPolicy, MeteredSite, SitePeriod
from tests.unit.metering.site_months import Month, month_of

COMMAND = [sys.executable, "-m", "gridcord.cli.match", "replay"]
SITE = MeteredSite()
SITE_LINE = {
    "type": "site", "site": "a", "slot_s": 1800, "resolution_wh": 1, "registers": "both",
    "hems": "none", "outlet_w": 1500,
}  # fmt: skip
THEFT = month_of(SITE, seed=1, arrives=0.0)


def fields(period: SitePeriod) -> dict[str, Any]:
    return {
        "t": period.period.start_s,
        "import_wh": period.import_wh,
        "export_wh": period.export_wh,
        "cable_wh": period.transferred_wh,
        "hems_wh": period.consumption_wh,
        "session": period.session,
    }


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, "--stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, bufsize=1,
    ) as running:  # fmt: skip
        yield running
        running.kill()


def say(process: subprocess.Popen[str], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    return cast("dict[str, Any]", json.loads(process.stdout.readline()))


def expected(month: Month, count: int) -> list[str]:
    matcher, out = month.learned(SITE), []
    for observation in month.judged[:count]:
        matcher, match = observe(matcher=matcher, observation=observation, policy=MatchPolicy())
        out.append(match.finding.value)
    return out


@pytest.mark.timeout(120)
def test_lock_step_answers_each_slot_before_the_next_is_sent(
    process: subprocess.Popen[str],
) -> None:
    for month in (THEFT, month_of(SITE, seed=1)):  # the second site starts from nothing
        say(process, SITE_LINE)
        say(process, {"type": "history", "slots": [fields(p) for p in month.history]})
        verdicts = []
        for period in month.judged[:250]:
            say(process, {"type": "slot", **fields(period)})
            answer = hear(process)  # would hang were it not flushed
            assert {"verdict", "reason", "evidence_nats", "odds", "sentence"} <= set(answer)
            verdicts.append(answer["verdict"])
        say(process, {"type": "end"})
        assert verdicts == expected(month, 250)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


BAD = [
    ("{", "line 2: not JSON"),
    ("[1]", "line 2: not a JSON object"),
    ('{"type":"dance"}', "line 2: type is site, history, slot or end"),
    ('{"type":"history","slots":3}', "line 2: slots is a list"),
    ('{"type":"slot","t":0,"cable_wh":null,"import_wh":1}', "line 2: cable_wh is a whole number"),
    ('{"type":"slot","t":7,"cable_wh":0,"import_wh":1}', "line 2: no period of 1800 s starts at 7"),
    ('{"type":"slot","t":0,"cable_wh":0,"import_wh":-1}', "line 2: import_wh is never negative"),
    ('{"type":"slot","t":0,"cable_wh":0.5,"import_wh":1}', "line 2: cable_wh is a whole number"),
    ('{"type":"slot","t":0,"cable_wh":9999999999,"import_wh":1}', "line 2: cable_wh is beyond"),
    ('{"type":"site","registers":"none"}', "line 2: registers are"),
    ('{"type":"site","hems":"half"}', "line 2: 'half' is not a valid HemsCoverage"),
    ('{"type":"site","resolution_wh":0}', "line 2: a register steps by at least 1 Wh"),
    ('{"type":"site","slot_s":1700}', "line 2: a day is no whole number of periods"),
    ('{"type":"end"}\n{"type":"slot","t":0,"cable_wh":0,"import_wh":1}', "line 3: no site"),
    (
        "\n".join(['{"type":"slot","t":1800,"cable_wh":0,"import_wh":1}'] * 2),
        "line 3: period 1800 does not follow 1800",
    ),
    ("\ufffd" + "[" * 100_000, "line 2: not JSON"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_input_names_its_line_and_exits_with_2(text: str, message: str) -> None:
    lines = f"{json.dumps(SITE_LINE)}\n{text}\n"
    done = CliRunner().invoke(app, ["replay", "--stdin"], input=lines)
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert message in done.stderr


def replayed(path: Path, *options: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["replay", str(path), "--json", *options])
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [fields(p) for p in [*THEFT.history, *THEFT.judged[:300]]]


def test_csv_parquet_and_json_lines_say_the_same(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    answers = [replayed(tmp_path / f"a.{kind}") for kind in ("csv", "parquet", "jsonl")]
    assert answers[0] == answers[1] == answers[2]
    verdicts = [a["verdict"] for a in answers[0]]
    assert verdicts[len(THEFT.history) :] == expected(THEFT, 300)
    assert "mismatch" in verdicts


def test_the_table_explains_and_counts(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    done = subprocess.run(
        [*COMMAND, str(tmp_path / "a.jsonl")],
        capture_output=True, text=True, timeout=110, check=True, env={"COLUMNS": "200"},
    )  # fmt: skip
    assert "should have fallen by 0.75 kWh" in done.stdout
    assert "mismatch" in done.stdout.splitlines()[-1]


def test_the_patents_rule_is_a_choice(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    reasons = {a["reason"] for a in replayed(tmp_path / "a.jsonl", "--rule", "patent")}
    assert "CHANGE_NOT_SEEN" in reasons


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "t,import_wh\n0,1\n", "line 1: columns missing: cable_wh"),
        ("a.csv", "t,import_wh,cable_wh\n0,1,0\n1800,x,0\n", "line 3: import_wh is a whole"),
        ("a.csv", "t,import_wh,cable_wh\n0,1.5,0\n", "line 2: import_wh is a whole"),
        ("a.csv", "t,import_wh,cable_wh\n0,nan,0\n", "line 2: import_wh is a whole"),
        ("a.csv", "t,import_wh,cable_wh\n0,1\n", "line 2: cable_wh is a whole"),
        ("a.csv", "t,import_wh,cable_wh\n0,1,0,9\n", "line 2: more cells than the header"),
        ("a.csv", "t,import_wh,cable_wh,t\n0,1,0,0\n", "line 1: columns given twice: t"),
        ("a.csv", "", "line 1: columns missing: cable_wh, import_wh, t"),
        ("a.csv", b"\xff\xfet,import_wh", "line 1: not CSV in UTF-8"),
        ("a.csv", b"t,import_wh,cable_wh\n0,1,0\n1800,\xff,0\n", "not CSV in UTF-8"),
        ("a.parquet", "no parquet", "line 1: not Parquet"),
        ("a.jsonl", '{"t":0,"import_wh":1,"cable_wh":0}\n{"t":', "line 2: not JSON"),
    ],
)
def test_bad_files_name_their_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(data)
    done = CliRunner().invoke(app, ["replay", str(tmp_path / name)])
    assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
    assert type(done.exception) is SystemExit


def test_numbers_of_a_table_with_holes_are_taken(tmp_path: Path) -> None:
    text = "t,import_wh,export_wh,cable_wh,session\n0,150.0,0.0,0.0,\n1800,,,-750.0,4.0\n"
    (tmp_path / "a.csv").write_text(text)
    assert [a["verdict"] for a in replayed(tmp_path / "a.csv")] == ["undecided"] * 2


def test_a_file_of_messages_is_answered_as_the_stream_is(tmp_path: Path) -> None:
    history = [fields(p) for p in THEFT.history]
    slots = [{"type": "slot", **fields(p)} for p in THEFT.judged[:100]]
    messages = [SITE_LINE, {"type": "history", "slots": history}, *slots, {"type": "end"}]
    text = "\n".join(json.dumps(message) for message in messages)
    (tmp_path / "a.jsonl").write_text(text)
    streamed = CliRunner().invoke(app, ["replay", "--stdin"], input=text)
    lines = [json.loads(line) for line in streamed.stdout.splitlines()]
    from_file = replayed(tmp_path / "a.jsonl")
    assert [line | {"t": slot["t"]} for line, slot in zip(lines, slots, strict=True)] == from_file
    assert all(line["sentence"] for line in lines)


def test_a_missing_file_and_no_input_are_said() -> None:
    for arguments in (["absent.csv"], [], ["a.csv", "--stdin"]):
        done = CliRunner().invoke(app, ["replay", *arguments])
        assert (done.exit_code, type(done.exception)) == (2, SystemExit)
