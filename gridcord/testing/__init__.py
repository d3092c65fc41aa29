"""Fakes and fixtures that others may use in their tests."""
