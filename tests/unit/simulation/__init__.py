"""Tests of gridcord.simulation."""
