"""Statistics: pure functions of arrays. They use numbers only, not runs, requests or files."""
