"""How much discharge of a site the meter can explain: no more than that is ever paid.

Balance of a site in a period, every term >= 0::

    import + generation + discharged = export + consumption + charged

Generation is not measured, so a meter can explain at most

    discharged <= export - import + charged + consumption

Two cables that report the same energy, or a cable that reports the energy of elsewhere, cannot earn
more than this together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from gridcord.metering.reading import SiteReading
from gridcord.settlement.transfer import Transfer, TransferKey

Name = TypeVar("Name")


def explained_discharge_wh(
    *, reading: SiteReading, charged_wh: int, most_consumption_wh: int, hems_sees_all: bool = False
) -> int | None:
    """The most discharge that a reading leaves room for.

    Args:
        reading: Of the site's meter.
        charged_wh: Through all cables of the site, Wh, >= 0.
        most_consumption_wh: What the house can have used at most, Wh: its connection's rating.
        hems_sees_all: The reading's consumption is the whole house's, not a part of it, and is
            believed instead of the rating.

    Returns:
        Wh, >= 0, steps of the registers allowed for; None when the reading cannot tell.
    """
    if reading.import_wh is None:
        return None
    if hems_sees_all and reading.consumption_wh is not None and reading.export_wh is not None:
        most_consumption_wh = reading.consumption_wh
    given_wh = (reading.export_wh or 0) - reading.import_wh
    return max(0, given_wh + charged_wh + most_consumption_wh + 2 * reading.step_wh)


def capped_discharge_wh(*, transfers: Iterable[Transfer], cap_wh: int) -> dict[TransferKey, int]:
    """Divide a cap among the discharges of a site and period.

    Args:
        transfers: All records of the site and period.
        cap_wh: What may be paid together, Wh, >= 0.

    Returns:
        Paid discharge of each record, Wh: all of it while the sum is within the cap, else in
        proportion, adding up to the cap exactly.
    """
    wanted = {each.key: each.record.vehicle_to_site_wh for each in transfers}
    if sum(wanted.values()) <= cap_wh:
        return wanted
    return divided(total=cap_wh, weights=wanted)


def divided(*, total: int, weights: Mapping[Name, int]) -> dict[Name, int]:
    """Divide whole units in proportion to weights (largest remainder, ties by name's text).

    Args:
        total: Units, of either sign.
        weights: >= 0; all of them 0 divides nothing.

    Returns:
        Whole units that add up to `total` exactly; each differs from its exact share by < 1.
    """
    whole = sum(weights.values())
    if whole == 0:
        return dict.fromkeys(weights, 0)
    shares = {name: total * weight // whole for name, weight in weights.items()}
    left = total - sum(shares.values())
    by_remainder = sorted(weights, key=lambda name: (-(total * weights[name] % whole), str(name)))
    for name in by_remainder[:left]:
        shares[name] += 1
    return shares
