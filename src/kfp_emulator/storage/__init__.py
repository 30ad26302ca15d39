"""What the API server keeps, in SQLite."""
