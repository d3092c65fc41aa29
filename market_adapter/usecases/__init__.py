"""What the market adapter does, in the words of its callers."""
