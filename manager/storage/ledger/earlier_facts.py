"""Facts as earlier versions wrote them: what the ledger holds is never changed."""

from __future__ import annotations

import json


def current_text(kind: str, text: str) -> str:
    """The text of a fact as this version writes it.

    A market result told one sum of what was delivered, and not what cables recorded of it; a
    payout did not tell until when it paid.

    Args:
        kind: Of the fact.
        text: As stored.
    """
    if kind == "MARKET" and '"deviations_wh":' in text:
        return _market(text)
    if kind == "PAYOUT" and '"before_s":' not in text:
        return text.removesuffix("}") + ',"before_s":null}'
    return text


def _market(text: str) -> str:
    old = json.loads(text)
    fields = {
        "area": old["area"],
        "period": old["period"],
        "contracts": old["contracts"],
        "recorded_wh": None,
        "telemetry_wh": old["delivered_wh"],
        "imbalance_price": old["imbalance_price"],
        "left_early_wh": 0,
        "revision": old["revision"],
    }
    return json.dumps(fields, separators=(",", ":"))
