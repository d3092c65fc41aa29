"""Monthly statements of drivers and hosts: every half hour, every amount, one rounding at the end.

Amounts are whole micros down to the last line. Only the sum is rounded, once, half to even, to the
currency's minor unit, and what that leaves is carried into the next month: nothing gets lost.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from gridcord.settlement.account import Account, Purpose
from gridcord.settlement.facts import AccountSubject, Payout, Subject
from gridcord.settlement.ledger import Entry
from gridcord.settlement.rounding import half_even
from gridcord.settlement.schedule import check_zone
from gridcord.units import Money, Period
from gridcord.units.money import MICROS

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_DIGITS = MappingProxyType({"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3})


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A calendar month by local time.

    Args:
        name: Such as `2026-11`.
        zone: IANA name.

    Raises:
        ValueError: No such month or zone.
    """

    name: str
    zone: str

    def __post_init__(self) -> None:
        check_zone(self.zone)
        if not _MONTH.fullmatch(self.name):
            message = f"no such month: {self.name!r}"
            raise ValueError(message)

    def bounds(self) -> tuple[int, int]:
        """First second and first second after, since 1970 UTC."""
        first = datetime.strptime(self.name, "%Y-%m").replace(tzinfo=ZoneInfo(self.zone))
        after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        return int(first.timestamp()), int(after.timestamp())

    def __contains__(self, period: Period) -> bool:
        start_s, end_s = self.bounds()
        return start_s <= period.start_s < end_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One half hour on a statement.

    Args:
        period: The period.
        place: Site; for a driver with the cable.
        amounts: Micros by purpose, + to the account's owner.
        charged_wh: Into vehicles, Wh, >= 0.
        discharged_wh: Out of vehicles and paid, Wh, >= 0.
        unpaid_wh: Out of vehicles and not paid, Wh, >= 0.
        own_wh: What the house used itself, Wh; None on a driver's statement.
        tariff: Name of the tariff version; empty where none applies.
    """

    period: Period
    place: str
    amounts: Mapping[Purpose, int]
    charged_wh: int = 0
    discharged_wh: int = 0
    unpaid_wh: int = 0
    own_wh: int | None = None
    tariff: str = ""

    @property
    def total_micros(self) -> int:
        """All amounts, micros."""
        return sum(self.amounts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What an account earned and owes in a month.

    Args:
        account: Whose.
        month: Which.
        currency: ISO 4217.
        lines: By period.
        opening_micros: Carried into the month: roundings and corrections of earlier months.
    """

    account: Account
    month: Month
    currency: str
    lines: tuple[Line, ...]
    opening_micros: int = 0

    @property
    def by_purpose(self) -> dict[Purpose, int]:
        """Sums of the lines, micros."""
        sums: defaultdict[Purpose, int] = defaultdict(int)
        for line in self.lines:
            for purpose, micros in line.amounts.items():
                sums[purpose] += micros
        return {purpose: sums[purpose] for purpose in Purpose if purpose in sums}

    @property
    def exact_micros(self) -> int:
        """Opening and all lines, micros."""
        return self.opening_micros + sum(line.total_micros for line in self.lines)

    @property
    def payable(self) -> Money:
        """To be paid out (collected, when negative): whole minor units."""
        return rounded(Money(self.currency, self.exact_micros))

    @property
    def carried_micros(self) -> int:
        """What rounding leaves for the next month, micros, less than a minor unit."""
        return self.exact_micros - self.payable.micros

    def payout(self) -> Payout:
        """The fact that closes it."""
        before_s = self.month.bounds()[1]
        return Payout(
            account=self.account, month=self.month.name, amount=self.payable, before_s=before_s
        )


def rounded(amount: Money) -> Money:
    """An amount in whole minor units of its currency (ISO 4217), half to even."""
    unit = MICROS // 10 ** _DIGITS.get(amount.currency, 2)
    return Money(amount.currency, half_even(amount.micros, unit) * unit)


def opening_micros(
    *, entries: Iterable[Entry], account: Account, month: Month, currency: str
) -> int:
    """What an account carries into a month: all that is known of the time before, less payouts.

    A correction of a month that was closed already shows here, in the month after.
    """
    start_s = month.bounds()[0]
    return sum(
        posting.amount.micros
        for entry in entries
        if _before(entry.subject, start_s, month.name)
        for posting in entry.postings
        if posting.account == account and posting.amount.currency == currency
    )


def _before(subject: Subject, start_s: int, month: str) -> bool:
    if isinstance(subject, AccountSubject):
        return subject.month < month
    return subject.period.start_s < start_s
