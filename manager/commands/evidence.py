"""Where `gridcord evidence export` gets a bundle from: a manager's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gridcord.chassis.exit_codes import ExitCode
from gridcord.cli.ending import CommandError
from gridcord.evidence.bundle import BundleSource
from manager.commands.stored import snapshot, terms_of
from manager.storage.ledger.bundle import LedgerBundle
from manager.storage.ledger.bundle_scope import NothingThere, NotJudged, Wanted
from manager.storage.ledger.terms import stored_match_policy


@contextmanager
def bundle_source(
    database: str, *, site_id: str, driver_id: str, from_s: int | None, to_s: int | None
) -> Iterator[BundleSource]:
    """A source over one snapshot of a database; see `LedgerBundle`.

    Raises:
        CommandError: The database cannot be read, nothing is there, or it is not judged yet.
    """
    with snapshot(database) as connection:
        terms, policy = terms_of(connection), stored_match_policy(connection)
        assert policy is not None, "a manager keeps it with its terms"
        try:
            wanted = Wanted(site_id=site_id, driver_id=driver_id, from_s=from_s, to_s=to_s)
            yield LedgerBundle(connection, terms=terms, policy=policy, wanted=wanted)
        except (NothingThere, NotJudged) as error:
            raise CommandError(str(error), exit_code=ExitCode.NEGATIVE) from error
