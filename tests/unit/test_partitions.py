"""A range of folders: only those are opened, all that are in it are read, and what does not fit is refused."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from recjobs.errors import DataRefused
from tests.source_rows import COLUMNS, instants, understood

DAYS = [f"2024-05-{day:02}" for day in range(1, 11)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    for n, day in enumerate(DAYS):
        for country in ("de", "fr"):
            place = tmp_path / "in" / f"dt={day}" / f"country={country}"
            place.mkdir(parents=True)
            pq.write_table(pa.table({"user": [f"{country}{n}"], "item": ["i"]}), place / "part-0.parquet")
    return tmp_path


def read(**partitions):
    return understood(path="in", columns=COLUMNS | {"occurred_at": "dt"}, partitions=partitions)[0]


@pytest.mark.parametrize(
    ("range", "days"),
    [
        ({"since": "2024-05-09"}, DAYS[8:]),
        ({"until": "2024-05-02"}, DAYS[:2]),
        ({"since": "2024-05-03", "until": "2024-05-04"}, DAYS[2:4]),
        ({"since": "2024-05-03", "until": "2024-05-03"}, DAYS[2:3]),
        ({"since": "2024"}, DAYS),
        ({"until": "2024-06"}, DAYS),
    ],
)
def test_folders_within_the_range_are_read_and_both_ends_belong_to_it(folder, range, days):
    expected = [(f"{country}{DAYS.index(day)}", "i", day) for day in days for country in ("de", "fr")]
    assert read(dt=range) == instants(expected)
    assert read(dt=range, country={"since": "fr"}) == instants([row for row in expected if row[0].startswith("fr")])


def test_folders_beyond_it_are_not_opened(folder):
    for country in ("de", "fr"):
        (folder / "in" / "dt=2024-05-01" / f"country={country}" / "part-0.parquet").write_bytes(b"no Parquet")
    assert len(read(dt={"since": "2024-05-02"})) == 18
    with pytest.raises(DataRefused):
        read(dt={"since": "2024-05-01"})


def test_a_key_that_means_null_is_within_no_range(folder):
    (folder / "in" / "dt=2024-05-10").rename(folder / "in" / "dt=__HIVE_DEFAULT_PARTITION__")
    assert len(read(dt={"since": ""})) == 18


@pytest.mark.parametrize(
    ("partitions", "said"),
    [
        ({"dt": {"since": "2025"}}, "no dt is within `partitions`; the folders have '2024-05-01' to '2024-05-10'"),
        ({"day": {"since": "2024"}}, "lies in no folder day=..., which `partitions` asks for"),
    ],
)
def test_a_range_that_nothing_lies_in_is_refused_with_what_there_is(folder, partitions, said):
    with pytest.raises(DataRefused) as caught:
        read(**partitions)
    assert said in str(caught.value)


@pytest.mark.parametrize("range", [{}, {"since": "b", "until": "a"}, {"from": "a"}, "a"])
def test_a_range_that_cannot_be_is_a_mistake_of_the_catalog(folder, range):
    with pytest.raises(ValidationError):
        read(dt=range)
