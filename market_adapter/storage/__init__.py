"""What the market adapter must not forget: bids, contracts, prices, signals, demand."""
