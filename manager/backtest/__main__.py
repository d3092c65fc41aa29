"""`python -m manager.backtest`: the command without `gridcord` in front."""

from __future__ import annotations

import sys

from gridcord.cli.ending import CommandError
from manager.backtest.command import app


def main() -> int:
    """Run it; the exit code of an error is its own."""
    try:
        app(prog_name="python -m manager.backtest")
    except CommandError as error:
        sys.stderr.write(f"gridcord: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
