"""Signed records and bundles that anyone can check without a server."""
