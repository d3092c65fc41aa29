"""The figures of `tests.bench.tracking` on a small fleet."""

from __future__ import annotations

from tests.bench.tracking import kept, measured


def test_contracts_are_met_although_one_in_twenty_drops_out_in_every_period() -> None:
    figures = measured(resources=300, periods=8, period_s=200, seed=3)
    assert kept(figures), figures
    sufficed, equal = figures["sufficed"], figures["equal_share_within_2_percent"]
    assert isinstance(sufficed, int)
    assert isinstance(equal, float)
    assert sufficed >= 4
    assert equal < 0.5  # what a share for everybody alike would have met
