"""Commands of `gridcord` that read a manager's database; `ledger close` alone adds to it."""
