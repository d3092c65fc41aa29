"""Meters and what they prove: registers, readings, period energy, matching. Pure."""
