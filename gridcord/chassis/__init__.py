"""How a process runs: identity, server, channel, failures, logs, settings, clock, lifecycle."""
