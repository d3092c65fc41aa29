"""Byte-exact simulated instruments, houses, vehicles, exchange: peers that real clients talk to."""
