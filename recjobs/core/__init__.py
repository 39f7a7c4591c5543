"""Nouns: pure computing. No clock, no file, no network, no environment."""
