"""The reverse-power trip: what makes "charge only" true at a plug without a direction.

The control pilot of IEC 61851-1 says how much current may flow, not which way. So a cable that may
only charge watches its own meter and opens the contactor when power flows out. Pure: time is an
argument, the caller opens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversePowerTrip:
    """Opens and stays open after power has flowed out for a while, or could not be measured.

    Args:
        limit_w: Power out of the vehicle that is tolerated for ever, W, >= 0: what an idle charger
            or the meter's noise shows.
        hold_s: More than that for so long trips, seconds, >= 0.
        blind_s: No measurement for so long trips too, seconds, > 0: what is not seen is not
            permitted.
        tripped: It has tripped; only `reset` takes it back.
        reverse_since_s: Since when power flows out above the limit; None when it does not.
        measured_s: When power was measured last; None before the first time.
    """

    limit_w: int = 50
    hold_s: float = 2.0
    blind_s: float = 10.0
    tripped: bool = False
    reverse_since_s: float | None = None
    measured_s: float | None = None

    def observe(self, *, at_s: float, power_w: int | None) -> ReversePowerTrip:
        """Take note of one reading.

        Args:
            at_s: When, seconds of a monotonic clock.
            power_w: + into the vehicle, - out of it; None when the meter did not answer.
        """
        if self.tripped:
            return self
        if power_w is None:
            return self._blind(at_s)
        if power_w >= -self.limit_w:
            return replace(self, reverse_since_s=None, measured_s=at_s)
        since_s = at_s if self.reverse_since_s is None else self.reverse_since_s
        return replace(
            self,
            reverse_since_s=since_s,
            measured_s=at_s,
            tripped=at_s - since_s >= self.hold_s,
        )

    def reset(self) -> ReversePowerTrip:
        """Take the trip back: a new permission has arrived, or a person decided."""
        return replace(self, tripped=False, reverse_since_s=None, measured_s=None)

    def _blind(self, at_s: float) -> ReversePowerTrip:
        measured_s = at_s if self.measured_s is None else self.measured_s
        tripped = at_s - measured_s >= self.blind_s
        return replace(self, measured_s=measured_s, tripped=tripped)
