"""A simulated exchange: speaks the interface of `gridcord.protocols.jepx` over TLS.

`auction`, `book`, `background` and `prices` are pure; `state` is the durable part, `rules` the
calls, `server` the sockets. Start it with `python -m gridcord.simulation.exchange --help`.
"""
