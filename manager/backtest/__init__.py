"""Replays past prices and past charging sessions: what the bidding would have earned."""
