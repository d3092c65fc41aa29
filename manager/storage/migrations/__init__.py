"""The history of the tables, run by Alembic on SQLite and PostgreSQL alike."""
