"""Rows of the input: parsing, accounting, validation, drift."""
