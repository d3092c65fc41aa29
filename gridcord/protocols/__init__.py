"""Byte formats spoken with the outside, both directions: codecs without I/O. Pure."""
