"""`gridcord-market-adapter`: between the manager and the venues."""

from __future__ import annotations

import sys

from gridcord.chassis.program import run_program
from market_adapter.assembly import run_adapter
from market_adapter.settings import MarketAdapterSettings


def main() -> None:
    """Run the program and exit with its code."""
    sys.exit(run_program(MarketAdapterSettings, run_adapter))


if __name__ == "__main__":
    main()
