"""Whatever is changed in a bundle is found, and the first changed record is named."""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gridcord.evidence.bundle import Report, verify
from gridcord.evidence.bundle_archive import MANIFEST
from gridcord.evidence.line_name import line_name
from tests.unit.evidence.resealing import Raw, closed, contents, opened, resealed
from tests.unit.evidence.town import Town

PRINTABLE = string.digits + string.ascii_letters + string.punctuation + " "
Place = tuple[str, int]  # member and number of the first line that is not what it was


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Town().write(tmp_path_factory.mktemp("evidence") / "town.zip")


def other_character(source: random.Random, text: str) -> str:
    at = source.randrange(len(text))
    other = source.choice([each for each in PRINTABLE if each != text[at]])
    return text[:at] + other + text[at + 1 :]


def lines_of(source: random.Random, raw: Raw, least: int) -> str:
    names = [name for name in raw if len(raw[name]) >= least and name != MANIFEST]
    return source.choices(names, weights=[len(raw[name]) for name in names])[0]


def flip(source: random.Random, raw: Raw) -> Place:
    name = source.choices(list(raw), weights=[len(lines) for lines in raw.values()])[0]
    at = source.randrange(len(raw[name]))
    raw[name][at] = other_character(source, raw[name][at])
    return ("manifest", 0) if name == MANIFEST else (name, at + 1)


def drop(source: random.Random, raw: Raw) -> Place:
    name = lines_of(source, raw, 1)
    at = source.randrange(len(raw[name]))
    del raw[name][at]
    return name, at + 1


def double(source: random.Random, raw: Raw) -> Place:
    name = lines_of(source, raw, 1)
    at = source.randrange(len(raw[name]))
    raw[name].insert(at, raw[name][at])
    return name, at + 2


def swap(source: random.Random, raw: Raw) -> Place:
    name = lines_of(source, raw, 2)
    one, other = sorted(source.sample(range(len(raw[name])), 2))
    raw[name][one], raw[name][other] = raw[name][other], raw[name][one]
    return name, one + 1


def other_tariff(source: random.Random, raw: Raw) -> Place:
    name = source.choice(("tariffs.jsonl", "site_tariffs.jsonl", "consents.jsonl", "rules.jsonl"))
    at = source.randrange(len(raw[name]))
    stated, _, text = raw[name][at].partition(" ")
    digits = [place for place, each in enumerate(text) if each in string.digits]
    place = source.choice(digits)
    digit = source.choice([each for each in string.digits if each != text[place]])
    raw[name][at] = f"{stated} {text[:place]}{digit}{text[place + 1 :]}"
    return name, at + 1


MUTATIONS: tuple[Callable[[random.Random, Raw], Place], ...] = (
    flip,
    flip,
    flip,
    drop,
    double,
    swap,
    other_tariff,
)


def assert_named(report: Report, raw: Raw, place: Place, what: str) -> None:
    name, line = place
    assert report.problem is not None, f"{what} at {place} was not found"
    problem = report.problem
    found = (problem.member, problem.line)
    assert found == (name.removesuffix(".jsonl"), line), f"{what}: {problem}"
    if line and line <= len(raw[name]):
        assert problem.record == line_name(raw[name][line - 1].partition(" ")[2])
    elif line:
        assert "missing" in problem.reason


def mutate(bundle: Path, folder: Path, count: int, seed: int) -> Counter[str]:
    source, whole = random.Random(seed), opened(bundle)
    kinds: Counter[str] = Counter()
    for _ in range(count):
        raw = {name: list(lines) for name, lines in whole.items()}
        mutation = source.choice(MUTATIONS)
        place = mutation(source, raw)
        assert raw != whole
        report = verify(closed(raw, folder / "mutated.zip"))
        assert_named(report, raw, place, mutation.__name__)
        kinds[mutation.__name__] += 1
    return kinds


@pytest.mark.slow
def test_five_hundred_changes_are_found_and_named(bundle: Path, tmp_path: Path) -> None:
    kinds = mutate(bundle, tmp_path, 500, seed=4)
    assert set(kinds) == {each.__name__ for each in MUTATIONS}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_thousand_changes_are_found_and_named(bundle: Path, tmp_path: Path) -> None:
    assert mutate(bundle, tmp_path, 10_000, seed=5).total() == 10_000


SIGNED = ("ocmf", "body")
DERIVED = ("earnings", "fees", "bills", "ledger", "balances")


def forge(source: random.Random, texts: dict[str, list[str]]) -> None:
    """Change what is signed, derived or ordered; hashes are made to fit afterwards."""
    entries = texts["entries"]
    choice = source.randrange(6)
    if choice == 0:
        forge_signed(source, entries)
    elif choice == 1:
        name = source.choice(DERIVED)
        at = source.randrange(len(texts[name]))
        texts[name][at] = other_character(source, texts[name][at])
    elif choice == 2:
        del entries[source.randrange(len(entries) // 2 - 1)]  # not the last of a journal
    elif choice == 3:
        at = source.randrange(len(entries))
        entries.insert(at, entries[at])
    elif choice == 4:
        name = source.choice(("entries", "earnings", "bills", "ledger"))
        one, other = source.sample(range(len(texts[name])), 2)
        texts[name][one], texts[name][other] = texts[name][other], texts[name][one]
    else:
        name = source.choice(DERIVED)
        del texts[name][source.randrange(len(texts[name]))]


def forge_signed(source: random.Random, entries: list[str]) -> None:
    at = source.randrange(len(entries))
    text = entries[at]
    inside = '"ocmf":"OCMF|' if '"ocmf":"OCMF|' in text else '"body":"'
    first = text.index(inside) + len(inside)
    last = text.index("}|{") if "ocmf" in inside else text.index('"', first)
    place = source.randrange(first, last)
    digits = "0123456789abcdef" if inside.startswith('"body') else PRINTABLE
    other = source.choice([each for each in digits if each != text[place]])
    entries[at] = text[:place] + other + text[place + 1 :]


def test_who_can_fit_every_hash_but_has_no_key_is_found(bundle: Path, tmp_path: Path) -> None:
    source, whole = random.Random(6), opened(bundle)
    for number in range(500):
        texts = contents(whole)
        forge(source, texts)
        assert texts != contents(whole)
        report = verify(resealed(texts, whole[MANIFEST][0], tmp_path / "forged.zip"))
        assert report.problem is not None, number
        assert report.problem.line or report.problem.record, report.problem


def test_resealing_without_a_change_changes_nothing(bundle: Path, tmp_path: Path) -> None:
    whole = opened(bundle)
    path = resealed(contents(whole), whole[MANIFEST][0], tmp_path / "same.zip")
    assert verify(path).ok
    assert opened(path).items() >= {k: v for k, v in whole.items() if k != MANIFEST}.items()


@pytest.mark.slow
def test_raw_bytes_of_the_file_never_crash_the_reader(bundle: Path, tmp_path: Path) -> None:
    source, whole = random.Random(7), bundle.read_bytes()
    path = tmp_path / "broken.zip"
    clean = verify(bundle)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(source.randrange(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        path.write_bytes(data[: source.choice((len(data), source.randrange(len(data))))])
        report = verify(path)
        assert not report.ok or report.root == clean.root
