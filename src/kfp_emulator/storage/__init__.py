"""The database of the API server, in SQLite."""
