"""Appends to the cable's journal and says so: `journal_writer.py FILE COUNT`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cable_node.journal import Journal


def body_of(number: int) -> bytes:
    """The body of an entry, of the size of a real one and different in each."""
    return (b"entry %d;" % number) * (40 + number % 23)


def main() -> None:
    """Append, acknowledge, prune now and then as the daemon does."""
    journal, count = Journal(Path(sys.argv[1])), int(sys.argv[2])
    os.write(1, b"ACK 0\n")
    for number in range(1, count + 1):
        journal.append(
            sequence=number,
            body=body_of(number),
            signature=b"signature",
            created_s=1_800_000_000 + number,
            fiscal=True,
            state={"registers": b"%d" % number},
        )
        os.write(1, b"ACK %d\n" % number)
        if number % 3 == 0:
            journal.note_acked(number - 1)
    if "close" in sys.argv:
        journal.close()
    os._exit(0)  # as a power cut: nothing is closed


if __name__ == "__main__":
    main()
