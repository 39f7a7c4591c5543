"""Everything that a catalog file may say, typed and frozen."""
