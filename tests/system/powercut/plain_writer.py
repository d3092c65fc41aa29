"""Inserts rows with given settings of SQLite: `plain_writer.py FILE COUNT MODE SYNCHRONOUS`."""

from __future__ import annotations

import os
import sqlite3
import sys


def main() -> None:
    """Insert, commit, tell."""
    file, count, mode, synchronous = sys.argv[1:5]
    database = sqlite3.connect(file, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {mode}")
    database.execute(f"PRAGMA synchronous = {synchronous}")
    database.execute("PRAGMA wal_autocheckpoint = 8")
    database.execute("CREATE TABLE entry (sequence INTEGER PRIMARY KEY, body BLOB)")
    os.write(1, b"ACK 0\n")
    for number in range(1, int(count) + 1):
        database.execute("INSERT INTO entry VALUES (?, ?)", (number, b"%d" % number * 100))
        os.write(1, b"ACK %d\n" % number)
    os._exit(0)


if __name__ == "__main__":
    main()
