"""Bids, demand, and what the market answered."""
