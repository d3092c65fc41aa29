"""Market profiles, bids, contracts, demand: pure."""
