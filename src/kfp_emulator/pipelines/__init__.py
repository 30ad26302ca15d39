"""Pipelines as the API server and its compiler read them."""
