"""Sans-I/O engines of the long streams: (state, event, now) -> (state, effects). Pure."""
