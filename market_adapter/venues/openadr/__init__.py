"""OpenADR: demand response as a VEN, edition 3.1 and, as an extra, 2.0b.

A venue of another kind: it takes no bids and says what is asked of the fleet (`SignalFeed`).
"""
