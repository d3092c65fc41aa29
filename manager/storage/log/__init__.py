"""The entry log, and the transfers that follow from it."""
