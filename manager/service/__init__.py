"""gRPC services: parse, call, answer."""
