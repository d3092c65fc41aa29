"""Gridcord: what its programs share, and what the outside may import."""

__version__ = "0.1.0"
