"""Who decides."""

from __future__ import annotations

from gridcord.chassis.identity import caller


def operator_of_caller() -> str:
    """Who decides, as the audit log names them."""
    return caller().principal.path
