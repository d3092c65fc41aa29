"""What the utility told of a site, as it was kept."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from gridcord.units import Position, SiteId
from manager.domain.trust.site import RegisteredSite

ASK_AGAIN_S = 3_600  # what the utility tells of a site is believed so long


def registered_of(row: Any, now_s: int, *, moved: bool) -> RegisteredSite | None:
    """What the utility told; in privacy mode its answer was about one position only."""
    if row is None or row.registered is None or now_s - row.registered_s > ASK_AGAIN_S:
        return None
    known = {each.name for each in fields(RegisteredSite)}  # an older version kept more
    values = {name: each for name, each in json.loads(row.registered).items() if name in known}
    position = values.pop("position")
    if moved and values["position_inside"] is not None:
        return None
    return RegisteredSite(
        **values
        | {
            "site_id": SiteId(row.site_id),
            "position": None if position is None else Position(**position),
            "meter_ids": tuple(values["meter_ids"]),
            "assets": (),
        }
    )
