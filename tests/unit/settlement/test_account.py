"""Accounts have one text, terms have bounds."""

from __future__ import annotations

import pytest

from gridcord.settlement.account import AGGREGATOR, Account, AccountKind
from gridcord.settlement.tariff import TariffBook
from gridcord.settlement.terms import SettlementRule, SiteTerms, Terms


@pytest.mark.parametrize(
    "account", [AGGREGATOR, Account(AccountKind.HOST, "host-1"), Account(AccountKind.DRIVER, "a:b")]
)
def test_an_account_comes_back_from_its_text(account: Account) -> None:
    assert Account.parse(str(account)) == account


@pytest.mark.parametrize("text", ["", "HOST", "GUEST:1", "host:1"])
def test_other_texts_are_no_accounts(text: str) -> None:
    with pytest.raises(ValueError, match=r"account|AccountKind"):
        Account.parse(text)


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_share_is_a_share(percent: int) -> None:
    with pytest.raises(ValueError, match="share"):
        SettlementRule(imbalance_percent=percent)


def test_a_site_nobody_named_has_no_host() -> None:
    assert Terms(tariffs=TariffBook(())).site("obis:1") == SiteTerms(site_id="obis:1")
