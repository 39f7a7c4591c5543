"""The live batch, by SQL as recjobs_reader."""

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras

QUERY = Path(__file__).with_name("published.sql").read_text()


def published(reader_url: str, catalog: str) -> dict[str, Any] | None:
    """Return the live batch of `catalog` with its verdict; None if nothing is published."""
    with closing(psycopg2.connect(reader_url, options=f"-c search_path={catalog},pg_temp")) as connection:
        cursor = connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
        cursor.execute(QUERY)
        row = cursor.fetchone()
        return dict(row) if row else None
