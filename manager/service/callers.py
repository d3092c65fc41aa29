"""Who decides."""

from __future__ import annotations

from gridcord.chassis.identity import caller


def operator_of_caller() -> str:
    """Who decides, as the audit log names them."""
    principal = caller().principal
    role = principal.role.value if principal.role else principal.kind.value
    return f"operator/{role}/{principal.id}"
