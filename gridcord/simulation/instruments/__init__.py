"""Simulated instruments that answer byte for byte like real ones, with faults on demand.

Each is an object of the running event loop: `await start()`, then it serves its line until
`await stop()`. Dozens live in one process. Serial ones have a `path` to open; network ones an
address. What they measure comes from a small source object, their time from a `Clock`.
"""
