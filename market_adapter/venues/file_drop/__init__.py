"""Trade by files: bids go out, acknowledgements, contracts and prices come in.

The fallback for every market without an interface of its own: whatever carries files between two
folders will do. The tables are described in `docs/market.md`.
"""
