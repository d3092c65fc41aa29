"""What cables and resources told, as the manager knows it."""
