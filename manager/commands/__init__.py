"""Commands of `gridcord` that read a manager's database, and change nothing in it."""
