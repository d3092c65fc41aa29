"""The file of settlement terms: tariff versions, site tariffs, sites with hosts, consents.

One JSON document of lists, each item with the fields of its class in `gridcord.settlement`, as a
bundle writes them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from gridcord.chassis.settings import SettingsError
from gridcord.evidence import plain
from gridcord.settlement.consent import Consent
from gridcord.settlement.tariff import SiteTariff, Tariff, TariffBook
from gridcord.settlement.terms import SettlementRule, SiteTerms, Terms

Value = TypeVar("Value")

_LISTS = ("tariffs", "site_tariffs", "sites", "consents")


class TermsFileError(SettingsError):
    """A terms file cannot be used; says file, list, item and why."""


def read_terms(path: Path, *, rule: SettlementRule, default: TariffBook[Tariff]) -> Terms:
    """Terms of a file.

    Args:
        path: The file.
        rule: The choices.
        default: Tariffs where the file names none.

    Raises:
        TermsFileError: It cannot be read, or says what no terms are.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: no JSON file of terms: {error}"
        raise TermsFileError(message) from error
    if not isinstance(document, dict) or not set(document) <= set(_LISTS):
        message = f"{path}: not an object with lists named {', '.join(_LISTS)}"
        raise TermsFileError(message)
    tariffs = _items(path, document, "tariffs", Tariff)
    return Terms(
        rule=rule,
        tariffs=TariffBook(tariffs) if tariffs else default,
        site_tariffs=TariffBook(_items(path, document, "site_tariffs", SiteTariff)),
        sites={each.site_id: each for each in _items(path, document, "sites", SiteTerms)},
        consents=tuple(_items(path, document, "consents", Consent)),
    )


def _items(path: Path, document: dict[str, Any], name: str, kind: type[Value]) -> list[Value]:
    found = []
    for number, item in enumerate(document.get(name, []), 1):
        try:
            text = json.dumps(item, ensure_ascii=True, separators=(",", ":"))
            found.append(plain.read(kind, text))
        except plain.PlainError as error:
            message = f"{path}: {name}, item {number}: {error}"
            raise TermsFileError(message) from error
    return found
