"""A plug-in session is the same one wherever judging stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from manager.storage.engine import Database
from manager.storage.schema import migrate
from manager.storage.sites.facts import facts_of
from tests.contract.storage.sites import FIRST, SITE, Sites, reading

PLUGGED = (1, 2, 3, 4, 6, 7)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.mark.parametrize("judged", [None, 0, 1, 2, 3, 4, 5, 6])
def test_sessions_do_not_depend_on_where_judging_stopped(
    judged: int | None, database: Database
) -> None:
    sites = Sites(database)
    sites.connect(now_s=FIRST.start_s)
    for number in PLUGGED:
        sites.transfer(number)
    sites.learn(*(reading(number, 0, 750) for number in range(9)))
    facts = database.read_now(
        lambda c: facts_of(
            c,
            SITE,
            judged_s=None if judged is None else FIRST.next(judged).start_s,
            length_s=1800,
            grace_s=0,
            now_s=FIRST.next(9).start_s,
        )
    )
    one, two = FIRST.next(1).start_s, FIRST.next(6).start_s
    whole = [None, one, one, one, one, None, two, two, None]
    assert [each.session for each in facts] == whole[0 if judged is None else judged + 1 :]
