"""One person in the files of one night: found by id, whatever step wrote the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from recjobs.adapters.artifacts import NightFiles
from recjobs.core.model.stored import StoredModel
from recjobs.core.rows.interactions import Interactions
from recjobs.core.rows.people import is_of
from recjobs.core.rows.validation import as_ids
from recjobs.errors import ModelRefused, ModelUnreadable


@dataclass(frozen=True)
class PersonInNight:
    """A user id, and the files of a night, of refused steps too."""

    night: NightFiles
    user_id: str

    @cached_property
    def files(self) -> list[tuple[str, str]]:
        """(step, name) of each file that counts."""
        infos = self.night.system.get_file_info(fs.FileSelector(self.night.folder, allow_not_found=True))
        steps = sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)
        return [(step, name) for step in steps if self.night.is_done(step) for name in self.night.manifest(step)]

    @cached_property
    def user_idx(self) -> int | None:
        """The person's row among the night's users; None: not one of them."""
        if ("validate", "users.parquet") not in self.files:
            return None
        users = self.night.load_table("validate", "users.parquet", ["user_id"])["user_id"].combine_chunks()
        place = pc.index(users, self.user_id).as_py()
        return None if place < 0 else int(place)

    def of_table(self, table: pa.Table) -> np.ndarray:
        """Which rows of a table are about the person; none of a table without users."""
        if "user_id" in table.column_names:
            raw = table["user_id"].combine_chunks()
            if {"reason", "source"} <= {*table.column_names}:  # quarantined: as it was read
                return is_of(self.user_id, raw)
            same = pc.equal(as_ids(raw, "user_id"), self.user_id)
            return np.asarray(pc.fill_null(same, False).to_numpy(zero_copy_only=False))
        if "user_idx" in table.column_names and self.user_idx is not None:
            return np.asarray(table["user_idx"].to_numpy() == self.user_idx)
        return np.zeros(table.num_rows, bool)

    def found(self) -> Iterator[dict[str, Any]]:
        """Each file that is about the person: its step and name, and its rows about them, or a model's factors.

        Raises ModelRefused for a file that is not the one that was written.
        """
        for step, name in self.files:
            if name.endswith(".parquet"):
                table = self.night.load_table(step, name)
                if (mask := self.of_table(table)).any():
                    yield {"step": step, "file": name, "rows": self._rows(name, table, mask)}
            elif name.endswith(".npz"):
                factors = self._factors(step, name)
                if factors is not None:
                    yield {"step": step, "file": name, "factors": factors}

    def _rows(self, name: str, table: pa.Table, mask: np.ndarray) -> list[dict[str, Any]]:
        rows = table.filter(pa.array(mask))
        if name in ("interactions.parquet", "train.parquet", "holdout.parquet"):
            items = self.night.load_table("validate", "items.parquet", ["item_id"])["item_id"]
            kinds = Interactions.from_table(table).kinds
            return [
                {
                    "item_id": items[row["item_idx"]].as_py(),
                    "occurred_at": row["occurred_at"],
                    "weight": row["weight"],
                    "kind": kinds[row["kind"]] if row["kind"] >= 0 else None,
                }
                for row in rows.to_pylist()
            ]
        return list(rows.to_pylist())

    def _factors(self, step: str, name: str) -> list[float] | None:
        try:
            arrays = self.night.load_arrays(step, name)
            if "user_ids" in arrays:
                model = StoredModel.from_arrays(arrays)
                row = model.user_ids.index(self.user_id) if self.user_id in model.user_ids else None
            else:
                row = self.user_idx
        except ModelUnreadable:
            return None
        return None if row is None else [float(each) for each in arrays["user_factors"][row]]


def as_json(value: Any) -> Any:
    """A value of a file as JSON has it; instants in UTC."""
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    return value if isinstance(value, int | float | str | bool) or value is None else str(value)


def readable(night: PersonInNight) -> tuple[list[dict[str, Any]], str | None]:
    """What a night has of the person, and why not all of it could be read."""
    found: list[dict[str, Any]] = []
    try:
        found.extend(night.found())
    except ModelRefused as error:
        return found, str(error)
    return found, None
