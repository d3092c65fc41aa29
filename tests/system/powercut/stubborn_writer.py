"""Appends to a journal whose disk fails now and then: `stubborn_writer.py FILE COUNT`.

Says "ACK <n>" for what was written and the failure's name for what was not. What failed is tried
again, a few times.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cable_node.journal import Journal, JournalError
from tests.system.powercut.journal_writer import body_of

ATTEMPTS = 5


def main() -> None:
    """Append until all is written, or nothing can be."""
    path, count = Path(sys.argv[1]), int(sys.argv[2])
    failures = 0
    while failures < ATTEMPTS:
        try:
            _write(Journal(path), count)
            break
        except JournalError as error:
            failures += 1
            os.write(1, f"{type(error).__name__}\n".encode())
    os._exit(0)


def _write(journal: Journal, count: int) -> None:
    failures = 0
    while (number := journal.durable.next_sequence) <= count:
        try:
            journal.append(
                sequence=number,
                body=body_of(number),
                signature=b"signature",
                created_s=1_800_000_000 + number,
                fiscal=True,
                state={"registers": b"%d" % number},
            )
            os.write(1, b"ACK %d\n" % number)
        except JournalError as error:
            failures += 1
            os.write(1, f"{type(error).__name__}\n".encode())
            if failures == ATTEMPTS:
                return


if __name__ == "__main__":
    main()
