"""Who is connected, where, and what its people are told."""
