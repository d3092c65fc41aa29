"""The `gridcord` command."""
