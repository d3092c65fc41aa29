"""Load, decide, store in one transaction, send after commit: one verb a file."""
