"""What the processes of a step hand over: arrays, mapped or loaded, and parts of tables by row groups."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix

from recjobs.adapters.shared_folder import SharedFolder
from recjobs.adapters.shared_table import SharedTable


@pytest.fixture
def folder(tmp_path: Path) -> SharedFolder:
    made = SharedFolder(str(tmp_path), str(tmp_path / "fit"))
    made.create()
    return made


def test_arrays_and_matrices_come_back_and_writing_to_a_mapped_one_changes_no_file(folder: SharedFolder):
    rows = np.arange(12, dtype=np.float64).reshape(4, 3)
    folder.save("users-0.npy", rows)
    mapped = folder.mapped("users-0.npy", Path("nowhere"))
    mapped[:] = 0
    assert folder.load("users-0.npy").tolist() == rows.tolist()

    matrix = csr_matrix(np.array([[0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 3]], np.float32))
    folder.save_matrix("users-0", matrix[1:])
    found = folder.load_matrix("users-0", 4)
    assert found.shape == (2, 4)
    assert found.toarray().tolist() == [[0, 0, 0, 0], [1, 0, 0, 3]]


def test_a_table_has_the_hash_that_is_returned_and_a_removed_folder_may_be_removed_again(folder: SharedFolder):
    sha256 = folder.save_table("part.parquet", pa.table({"a": [1, 2]}))
    content = Path(folder.path, "part.parquet").read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256
    folder.create()
    assert list(Path(folder.path).iterdir()) == []
    folder.remove()
    folder.remove()
    assert not Path(folder.path).exists()


@pytest.mark.parametrize("group", [1, 3, 100])
def test_parts_of_a_table_have_all_their_rows_and_no_other_whatever_the_row_groups(tmp_path: Path, group: int):
    users = [0, 0, 1, 3, 3, 3, 3, 6, 7, 7]
    table = pa.table({"user_idx": pa.array(users, pa.int32()), "row": range(10)})
    pq.write_table(table.replace_schema_metadata({"n_users": "9"}), tmp_path / "rows.parquet", row_group_size=group)
    shared = SharedTable(str(tmp_path), str(tmp_path / "rows.parquet"))
    for first, last in ((0, 9), (0, 1), (1, 3), (2, 3), (3, 7), (4, 6), (7, 9), (8, 9)):
        part = shared.between("user_idx", first, last)
        assert part["row"].to_pylist() == [row for row, user in enumerate(users) if first <= user < last]
        assert part.schema.metadata == {b"n_users": b"9"}
    for first, last in ((0, 10), (0, 3), (2, 4), (5, 6), (9, 12), (3, 9)):
        assert shared.rows(first, last, ["row"])["row"].to_pylist() == list(range(10))[first:last]


@pytest.mark.parametrize("group", [1, 3, 100])
def test_a_table_is_read_by_groups_batches_columns_and_samples(folder: SharedFolder, group: int):
    whole = pa.table({"user": [f"u{n}" for n in range(10)], "row": range(10)})
    folder.save_groups("t.parquet", [whole.slice(0, 4), whole.slice(4)], group)
    table = folder.table("t.parquet")
    assert table.extent() == (whole.schema, 10)
    assert table.read(["user"]).equals(whole.select(["user"]))
    assert table.read().equals(whole)
    assert pa.concat_tables(table.groups()).equals(whole)
    assert table.group(1).equals(whole.slice(4 if group > 3 else group, 6 if group > 3 else 1))
    assert pa.Table.from_batches(table.batches(3)).equals(whole)
    assert table.rows(2, 9).equals(whole.slice(2, 7))
    assert table.rows(0, 1 << 40, ["row"]).equals(whole.select(["row"]))
    sample = [value for values in table.sample("user", 20, 2) for value in values.to_pylist()]
    assert set(sample) <= set(whole["user"].to_pylist())
    assert len(sample) >= 4
