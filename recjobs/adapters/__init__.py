"""Proper names: one outside system each, and the only importers of its client library."""
