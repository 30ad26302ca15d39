"""What `docs/make.py` writes into the pages, by page."""
