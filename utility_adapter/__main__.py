"""`gridcord-utility-adapter`: between the manager and the utilities."""

from __future__ import annotations

import sys

from gridcord.chassis.program import run_program
from utility_adapter.assembly import run_adapter
from utility_adapter.settings import UtilityAdapterSettings


def main() -> None:
    """Run the program and exit with its code."""
    sys.exit(run_program(UtilityAdapterSettings, run_adapter))


if __name__ == "__main__":
    main()
