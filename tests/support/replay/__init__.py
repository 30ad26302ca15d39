"""Replays recorded exchanges with a KFP API server against the emulator, and compares the answers."""
