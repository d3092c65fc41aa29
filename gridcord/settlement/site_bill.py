"""What a site pays for a period, as if no guest had been there (patent: reward of the site).

    own energy = (import - export) + discharged through cables - charged through cables

The meter saw house and guests together; the cables saw the guests alone. What is left is the
house. The host pays for that; what the meter shows beyond it belongs to the aggregator, so that
the utility gets what its meter says and the host never pays for a guest.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridcord.metering.reading import SiteReading
from gridcord.settlement.earning import energy_amount
from gridcord.settlement.schedule import Prices
from gridcord.settlement.tariff import SiteTariff
from gridcord.units import Money, Period


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteBill:
    """A site's bill of one period; amounts are owed by who is named, negative is owed to.

    Args:
        site_id: The site.
        period: The period.
        metered_wh: Import minus export, Wh.
        charged_wh: Through all cables into vehicles, Wh, >= 0.
        discharged_wh: Through all cables out of vehicles, Wh, >= 0.
        own_wh: What the house used itself, Wh; negative when it gave.
        host: What the host owes for that.
        guest: What the aggregator owes for the difference that guests made.
        exact: False without an export register, where a surplus is not seen; then discharge is
            not added, in the host's favour.
        revision: Of the reading.
        tariff: Name of the site's tariff version.
    """

    site_id: str
    period: Period
    metered_wh: int
    charged_wh: int
    discharged_wh: int
    own_wh: int
    host: Money
    guest: Money
    exact: bool
    revision: int
    tariff: str

    @property
    def metered(self) -> Money:
        """What the utility is owed by its meter."""
        return self.host + self.guest


def site_bill(
    *, reading: SiteReading, charged_wh: int, discharged_wh: int, tariff: SiteTariff
) -> SiteBill | None:
    """The bill of a site for one period.

    Args:
        reading: Of the site's meter, by the utility or by a cable.
        charged_wh: Through all cables of the site in this period, Wh, >= 0.
        discharged_wh: The same out of vehicles, Wh, >= 0.
        tariff: The site's, valid in the period.

    Returns:
        The bill; None while the import is not known.
    """
    if reading.import_wh is None:
        return None
    exact = reading.export_wh is not None
    metered_wh = reading.import_wh - (reading.export_wh or 0)
    own_wh = metered_wh - charged_wh + (discharged_wh if exact else 0)
    prices = tariff.schedule.at(reading.period)
    host = net_price(own_wh, prices)
    return SiteBill(
        site_id=reading.site_id,
        period=reading.period,
        metered_wh=metered_wh,
        charged_wh=charged_wh,
        discharged_wh=discharged_wh,
        own_wh=own_wh,
        host=host,
        guest=net_price(metered_wh, prices) - host,
        exact=exact,
        revision=reading.revision,
        tariff=tariff.name,
    )


def net_price(net_wh: int, prices: Prices) -> Money:
    """What is owed for the net energy of a period: import at its price, surplus at its own.

    Args:
        net_wh: Wh, + taken from the grid.
        prices: Of the site.

    Returns:
        Money, + owed by the site, rounded once to one micro.
    """
    return -energy_amount(taken_wh=max(0, net_wh), given_wh=max(0, -net_wh), prices=prices)
