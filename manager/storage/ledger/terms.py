"""What settlement goes by, as rows: versions are added, never changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gridcord.chassis.settings import SettingsError
from gridcord.evidence import plain
from gridcord.metering.matching import MatchPolicy
from gridcord.settlement.consent import Consent
from gridcord.settlement.tariff import SiteTariff, Tariff, TariffBook
from gridcord.settlement.terms import SettlementRule, SiteTerms, Terms
from manager.storage.engine import upsert
from manager.storage.ledger.rows import TermRow
from manager.storage.rows import SiteRow

TERM: sa.Table = TermRow.__table__  # type: ignore[attr-defined]
SITE_ROW: sa.Table = SiteRow.__table__  # type: ignore[attr-defined]

MATCH = "MATCH"
RULE, TARIFF, SITE_TARIFF, SITE, CONSENT = "RULE", "TARIFF", "SITE_TARIFF", "SITE", "CONSENT"

Value = TypeVar("Value")


class TermsChanged(SettingsError):
    """Settings contradict what entries of the ledger were made by; says what to do."""


def stored_terms(connection: Connection) -> Terms | None:
    """What the ledger goes by; None before the first start."""
    rules = list(_stored(connection, RULE, SettlementRule))
    if not rules:
        return None
    return Terms(
        rule=rules[0],
        tariffs=TariffBook(_stored(connection, TARIFF, Tariff)),
        site_tariffs=TariffBook(_stored(connection, SITE_TARIFF, SiteTariff)),
        consents=tuple(_stored(connection, CONSENT, Consent)),
        sites={each.site_id: each for each in _stored(connection, SITE, SiteTerms)},
    )


def adopt_terms(connection: Connection, given: Terms, *, now_s: int, period_s: int) -> Terms:
    """Add what settings say to what is stored, and return all of it.

    A tariff that says something else than its newest version becomes a new version, from the next
    period on. A consent may gain its withdrawal.

    Args:
        connection: Of the transaction.
        given: By settings.
        now_s: Now, seconds since 1970 UTC.
        period_s: Length of a period, seconds.

    Raises:
        TermsChanged: Another rule, or another content of a name that entries rest on.
    """
    before = stored_terms(connection)
    _keep(connection, RULE, "rule", given.rule, now_s)
    for site in given.sites.values():
        _keep(connection, SITE, site.site_id, site, now_s)
    for site_tariff in given.site_tariffs.versions:
        _keep(connection, SITE_TARIFF, site_tariff.name, site_tariff, now_s)
    for consent in given.consents:
        _keep_consent(connection, consent, before, now_s)
    known = before.tariffs.versions if before else ()
    for tariff in given.tariffs.versions:
        version = _version(tariff, known, from_s=-(-now_s // period_s) * period_s)
        _keep(connection, TARIFF, version.name, version, now_s)
    terms = stored_terms(connection)
    assert terms is not None
    return terms


def adopt_match_policy(connection: Connection, policy: MatchPolicy, *, now_s: int) -> None:
    """Keep how verdicts are reached; every site is judged anew when that has changed."""
    if stored_match_policy(connection) == policy:
        return
    upsert(connection, TERM, [_row(MATCH, "policy", policy, now_s)])
    connection.execute(SITE_ROW.update().values(matcher_state=None, matched_period=None))


def stored_match_policy(connection: Connection) -> MatchPolicy | None:
    """How verdicts are reached; None before the first start."""
    return next(_stored(connection, MATCH, MatchPolicy), None)


def _version(tariff: Tariff, known: tuple[Tariff, ...], *, from_s: int) -> Tariff:
    """The stored version that says the same, else a new one."""
    of_name = [each for each in known if each.tariff_id == tariff.tariff_id]
    newest = max(of_name, key=lambda each: each.version, default=None)
    if newest is None:
        return tariff
    same = replace(tariff, version=newest.version, valid_from_s=newest.valid_from_s)
    if same == newest:
        return newest
    return replace(tariff, version=newest.version + 1, valid_from_s=from_s)


def _keep_consent(
    connection: Connection, consent: Consent, before: Terms | None, now_s: int
) -> None:
    known = {each.consent_id: each for each in (before.consents if before else ())}
    stored = known.get(consent.consent_id)
    withdrawn = stored is not None and stored.withdrawn_s is None
    if withdrawn and stored == replace(consent, withdrawn_s=None):
        row = _row(CONSENT, consent.consent_id, consent, now_s)
        upsert(connection, TERM, [row])
    _keep(connection, CONSENT, consent.consent_id, consent, now_s)


def _keep(connection: Connection, kind: str, name: str, value: object, now_s: int) -> None:
    row = _row(kind, name, value, now_s)
    stored = connection.execute(
        sa.select(TERM.c.content).where(TERM.c.kind == kind, TERM.c.name == name)
    ).scalar()
    if stored is None:
        connection.execute(TERM.insert().values(**row))
    elif stored != row["content"]:
        message = (
            f"{kind} {name} of the settings is not the one that the ledger rests on: "
            f"give it a new name or version, or restore {stored}"
        )
        raise TermsChanged(message)


def _row(kind: str, name: str, value: object, now_s: int) -> dict[str, object]:
    return {"kind": kind, "name": name, "content": plain.write(value), "create_s": now_s}


def _stored(connection: Connection, kind: str, of: type[Value]) -> Iterator[Value]:
    query = sa.select(TERM.c.content).where(TERM.c.kind == kind).order_by(TERM.c.name)
    for row in connection.execute(query):
        yield plain.read(of, row.content)
