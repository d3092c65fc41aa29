"""Between the manager and the venues: bids out, contracts and demand in."""
