"""Sites, bitemporal readings, reconciliation: pure."""
