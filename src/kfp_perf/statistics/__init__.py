"""Statistics: pure functions of arrays. They know numbers only, not runs, requests or files."""
