"""Where rows come from: files, folders and globs on a disk or in S3, and queries of any Postgres.

`find` says which files a place means, `query.pin` makes a file of a query's result, `read` and `read_rows` read a file.
"""

from recjobs.adapters.sources.csv_faults import delimiter_of
from recjobs.adapters.sources.places import Place, SourceFile, find, known_format
from recjobs.adapters.sources.reading import Rows, read, read_rows

__all__ = ["Place", "Rows", "SourceFile", "delimiter_of", "find", "known_format", "read", "read_rows"]
