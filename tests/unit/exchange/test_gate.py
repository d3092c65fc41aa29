"""The gate of the auction is data: another exchange may hold it at another hour."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from gridcord.simulation.exchange.schedule import AuctionGate

DAY = date(2026, 6, 2)


def at(day: int, hour: int, minute: int = 0) -> float:
    """An instant of June 2026 in Japan."""
    return datetime(2026, 6, day, hour, minute, tzinfo=UTC).timestamp() - 9 * 3600


def test_the_exchange_closes_at_ten_the_day_before() -> None:
    gate = AuctionGate()
    assert gate.closes_s(DAY) == at(1, 10)
    assert gate.takes(DAY, at(1, 9, 59))
    assert not gate.takes(DAY, at(1, 10))


def test_an_auction_on_the_day_itself() -> None:
    gate = AuctionGate(closes=time(16, 30), days_before=0)
    assert gate.takes(DAY, at(2, 16, 29))
    assert not gate.takes(DAY, at(2, 16, 30))
