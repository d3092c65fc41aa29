"""Values of the field: energy, power, money, period, position, identifiers.

Everything here is frozen, total and exact: integers inside, `Decimal` at the edges, the standard
library only. Names of plain integers end in their unit (`_wh`, `_w`, `_micros`, `_s`, `_m`).
"""

from gridcord.units.energy import Energy
from gridcord.units.identifiers import (
    CableId,
    DriverId,
    IdentifierError,
    OperatorId,
    ResourceId,
    SiteId,
    VehicleId,
    epoch_text,
    parse_device_id,
    parse_epoch,
    parse_site_id,
)
from gridcord.units.money import Money, Price
from gridcord.units.period import Calendar, Period
from gridcord.units.position import Position
from gridcord.units.power import Power

__all__ = [
    "CableId",
    "Calendar",
    "DriverId",
    "Energy",
    "IdentifierError",
    "Money",
    "OperatorId",
    "Period",
    "Position",
    "Power",
    "Price",
    "ResourceId",
    "SiteId",
    "VehicleId",
    "epoch_text",
    "parse_device_id",
    "parse_epoch",
    "parse_site_id",
]
