"""The audit log: chained by hash, appended to in the transaction that it tells of."""
