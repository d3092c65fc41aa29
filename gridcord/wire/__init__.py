"""The only conversions between API messages and values; what cannot be parsed is refused here."""
