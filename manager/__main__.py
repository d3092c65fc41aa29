"""`gridcord-manager`: the aggregator's manager."""

from __future__ import annotations

import sys

from gridcord.chassis.program import run_program
from manager.assembly import run_manager
from manager.settings import ManagerSettings


def main() -> None:
    """Run the program and exit with its code."""
    sys.exit(run_program(ManagerSettings, run_manager))


if __name__ == "__main__":
    main()
