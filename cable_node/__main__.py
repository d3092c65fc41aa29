"""`gridcord-cable-node`: the daemon on the cable."""

from __future__ import annotations

import sys

from cable_node.node import run_node
from cable_node.settings import CableNodeSettings
from gridcord.chassis.program import run_program


def main() -> None:
    """Run the program and exit with its code."""
    sys.exit(run_program(CableNodeSettings, run_node))


if __name__ == "__main__":
    main()
