"""gRPC services of the market adapter."""
