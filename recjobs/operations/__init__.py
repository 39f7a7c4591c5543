"""The operations between nights, one verb a module."""
