"""Inputs: files, folders and globs on a disk or in S3, and queries of any Postgres.

`find` lists the files of a path, `query.pin` stores a query's result as a file, `read` and `read_rows` read a file.
"""

from recjobs.adapters.sources.csv_faults import delimiter_of
from recjobs.adapters.sources.filtered import Rows, read_rows
from recjobs.adapters.sources.places import JoinedFiles, SourceFile, find, known_format
from recjobs.adapters.sources.reading import read

__all__ = ["JoinedFiles", "Rows", "SourceFile", "delimiter_of", "find", "known_format", "read", "read_rows"]
