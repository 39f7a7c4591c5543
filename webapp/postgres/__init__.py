"""Postgres within a deadline: a read-only connection pool by catalog, and the few calls that change something."""
