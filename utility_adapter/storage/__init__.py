"""What the adapter knows, in one SQLite file: facts are only added."""
