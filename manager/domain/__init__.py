"""What the manager decides, as pure functions and frozen values."""
