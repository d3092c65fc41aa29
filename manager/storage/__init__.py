"""Rows and queries on SQLite and PostgreSQL; nobody outside sees a row."""
