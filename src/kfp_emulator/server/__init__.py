"""The API server's state and what it does with it, below its HTTP routes."""
