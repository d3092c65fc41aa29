"""A match in one sentence, for the driver, the host and the operator."""

from __future__ import annotations

from gridcord.metering.matching import Finding, Match, Reason

_WITHOUT_CHANGE = {
    Reason.NO_READING: "a reading of this period is missing, so nothing can be said about it",
    Reason.NO_REFERENCE: "no period without a transfer came before it to compare with",
    Reason.NO_TRANSFER: "nothing was transferred in this period",
    Reason.LEARNING: "the site's usual consumption is being learned",
}
_CONCLUSIONS = {
    Reason.BALANCE_HOLDS: "import, export, consumption and transfer add up",
    Reason.BALANCE_BROKEN: "import, export, consumption and transfer do not add up",
    Reason.CHANGE_SEEN: "it moved by what was transferred",
    Reason.CHANGE_NOT_SEEN: "it did not move by what was transferred",
    Reason.WITHIN_STEPS: "that is too little for this meter's steps to tell",
    Reason.SURPLUS_UNSEEN: "this meter cannot show a surplus, so nothing can be said",
    Reason.EVIDENCE_THIN: "too little is known to confirm or to doubt",
    Reason.SESSION_CONFIRMED: "the session is confirmed",
    Reason.EVIDENCE_GROWS: "a short test pattern is asked for",
    Reason.HEMS_TOO_GOOD: (
        "the energy manager's figures add up but the meter alone disagrees,"
        " so a short test pattern is asked for"
    ),
}


_NOTHING = "0.00"


def explain(match: Match) -> str:
    """Say what was expected, what was seen, how sure that is, and the odds of the best alternative.

    Example: "the meter should have fallen by 0.74 kWh, it fell by 0.03 ± 0.20 kWh; odds of an
    honest site 1 : 4,000 against 'no discharge arrives'".
    """
    if match.expected_change_wh is None or match.observed_change_wh is None:
        return _WITHOUT_CHANGE.get(match.reason, _conclusion(match))
    moved = (
        f"the meter {_should_move(match.expected_change_wh)}, it {_moved(match.observed_change_wh)}"
    )
    text = f"{moved} ± {(match.uncertainty_wh or 0) / 1000:.2f} kWh"
    conclusion = _conclusion(match)
    return f"{text}; {conclusion}" if conclusion else text


def _should_move(change_wh: int) -> str:
    if (amount := _kwh(change_wh)) == _NOTHING:
        return "should have stayed the same"
    return f"should have {'fallen' if change_wh < 0 else 'risen'} by {amount} kWh"


def _moved(change_wh: int) -> str:
    if (amount := _kwh(change_wh)) == _NOTHING:
        return "stayed the same"
    return f"{'fell' if change_wh < 0 else 'rose'} by {amount}"


def _kwh(change_wh: int) -> str:
    return f"{abs(change_wh) / 1000:.2f}"


def _conclusion(match: Match) -> str:
    said = _CONCLUSIONS.get(match.reason, "")
    if match.alternative and match.evidence_nats > 0 and match.finding is not Finding.MATCH:
        odds = f"odds of an honest site 1 : {match.odds:,.0f} against '{match.alternative}'"
        return f"{odds}; {said}" if said else odds
    return said
