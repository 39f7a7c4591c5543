"""Folders that Spark writes: every row and value of three places, as it was written."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import spark
from tests.integration.test_writers import Shop, Table, assert_as_written

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="Spark takes a quarter of a minute to start"),
]
Write = Callable[[Any, str], None]
FORMATS: dict[str, tuple[dict[str, Any], Write]] = {
    "parquet": ({}, lambda frame, path: frame.repartition(3).write.parquet(path)),
    "parquet, INT96 and no dictionaries": (
        {},
        lambda frame, path: frame.coalesce(1).write.option("parquet.enable.dictionary", "false").parquet(path),
    ),
    "csv, quotes written twice": (
        {},
        lambda frame, path: frame.repartition(3).write.option("escape", '"').csv(path, header=True),
    ),
    "csv, all quoted, gzip": (
        {"escape": "\\"},
        lambda frame, path: frame.write.option("escapeQuotes", True).csv(
            path, header=True, quoteAll=True, compression="gzip", charToEscapeQuoteEscaping="\\"
        ),
    ),
    "json lines": ({"format": "jsonl"}, lambda frame, path: frame.repartition(3).write.json(path)),
}


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    spark.needed()
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.mark.parametrize("name", FORMATS)
def test_rows_and_values_are_those_that_spark_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: Any, name: str
) -> None:
    for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    settings, write = FORMATS[name]

    def by_spark(table: Table, path: Path) -> None:
        rows = list(zip(*table.values(), strict=True))
        write(session.createDataFrame(rows, list(table)), str(path))
        assert (path / "_SUCCESS").exists()

    assert_as_written(Shop(tmp_path).validated("", settings, by_spark))
