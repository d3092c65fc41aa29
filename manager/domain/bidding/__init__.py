"""From the fleet that is connected, and past prices, to bids."""
