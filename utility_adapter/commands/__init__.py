"""Commands of `gridcord` that read the utility adapter's store, and change nothing in it."""
