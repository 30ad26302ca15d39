"""The emulator's own API, by which tests look behind and disturb what it serves."""
