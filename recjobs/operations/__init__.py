"""What an operator or a data scientist does between nights, one verb a module."""
