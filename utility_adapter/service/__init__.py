"""gRPC services of the utility adapter."""
