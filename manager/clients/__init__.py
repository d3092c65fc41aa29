"""The manager's ports to the market and the utility, over gRPC."""
