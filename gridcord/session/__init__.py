"""Sans-I/O engines of the long streams: (state, event, now) -> (state, effects). Pure.

`cable` and `resource` are the devices' side, `manager` is the manager's. They are the same objects
that run in production and that the exhaustive exploration of `tests/unit/session` walks through.
The protocol is described in docs/protocol.md.
"""
