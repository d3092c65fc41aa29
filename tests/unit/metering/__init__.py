"""Tests of gridcord.metering."""
