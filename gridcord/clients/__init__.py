"""Clients of the API for those who build on it: makers of resources, tools of operators."""
