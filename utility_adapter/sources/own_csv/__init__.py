"""Our own CSV: readings, transfers and the utility's register."""
