"""Finished lists: ranking order, ladder, reasons, similar items, and the contract that they are checked against."""
