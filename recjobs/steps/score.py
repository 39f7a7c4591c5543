"""Make every user's list, the similar items and the popular lists. Lists are written in chunks; a rerun on
the same kernel resumes."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.adapters.step_files import StepFiles
from recjobs.core.ahead import ahead
from recjobs.core.lists.finished import Lists
from recjobs.core.lists.ladder import as_lists
from recjobs.core.lists.reasons import as_columns
from recjobs.core.lists.rotation import Rotation
from recjobs.night.exposure import rotation_tonight, shown_table
from recjobs.night.handovers import INPUTS
from recjobs.night.list_parts import ListParts
from recjobs.night.lists import NightLists, UserLists
from recjobs.night.night import Night
from recjobs.night.other_tables import OTHER_TABLES, histories
from recjobs.night.spark_lists import parts_on_spark
from recjobs.night.stored import stored_rows

CHUNK_USERS = 20_000


def run(night: Night) -> dict[str, int]:
    """Write top_n-*.parquet, similar.parquet, popular.parquet, items.parquet and history.parquet; with rotation,
    shown-*.parquet. No more than some chunks' rows are in memory, unless the lists have a second stage."""
    lists = NightLists(night, stored_rows(night, "validate", "interactions.parquet"))
    rotation = rotation_tonight(night)
    n = night.catalog.top_n.stored
    # What `other_tables` need of the maker is there before they are made beside the lists.
    completed, parts = lists.maker.completed, ListParts.of(lists, CHUNK_USERS)

    def rotation_of(number: int) -> Rotation | None:
        first = number * CHUNK_USERS
        return None if rotation is None else rotation.of_users(first, first + CHUNK_USERS)

    with night.writing("score", resume_key=night.key_of(*INPUTS["score"])) as files, ThreadPoolExecutor(1) as beside:
        saving_others = beside.submit(_save_others, files, lists, parts)
        missing = [number for number in parts.numbers if _name(number) not in files.hashes]
        if night.catalog.engine == "spark":
            for made in parts_on_spark(night, parts, missing, rotation_of, n, _table):
                for part in made:
                    files.take(_name(part.number), part.path, part.sha256)
                files.checkpoint()
        else:
            made_here = ahead(parts.lists(number, rotation_of(number), night.threads) for number in missing)
            _make_parts(files, zip(missing, made_here, strict=True), n)
        if rotation is not None:
            for number in parts.numbers:
                listed = pq.read_table(pa.BufferReader(files.read(_name(number))), columns=["user_id", "item_ids"])
                shown = shown_table(rotation, listed, lists.user_ids, lists.item_ids)
                files.save_table(f"shown-{number:05d}.parquet", shown)
        saving_others.result()
    predicted = int((completed.predicted & lists.maker.known.eligible).sum()) if completed else 0
    return {"users": parts.n_users, "items": len(lists.item_ids), "predicted": predicted, "n": n}


def _name(number: int) -> str:
    return f"top_n-{number:05d}.parquet"


def _make_parts(files: StepFiles, chunks: Iterable[tuple[int, UserLists]], n: int) -> None:
    """Make the lists of chunks of users; each is written, and noted as finished, while the next one is made."""

    def write(number: int, lists: UserLists, users: np.ndarray, finished: Lists) -> None:
        files.save_table(_name(number), _as_table(lists, users, finished))
        files.checkpoint()

    written = Future[None]()
    written.set_result(None)
    with ThreadPoolExecutor(1) as writing:
        for number, lists in chunks:
            users = _active(lists)
            finished = lists.of(users, n)
            written.result()
            written = writing.submit(write, number, lists, users, finished)
        written.result()


def _active(lists: UserLists) -> np.ndarray:
    """The users who get a list."""
    users = np.arange(len(lists.user_ids))
    return np.asarray(users[~lists.maker.is_inactive(users)])


def _table(lists: UserLists, n: int) -> pa.Table:
    """The lists of the active ones of some users, see `_as_table`."""
    users = _active(lists)
    return _as_table(lists, users, lists.of(users, n))


def _as_table(lists: UserLists, users: np.ndarray, finished: Lists) -> pa.Table:
    """A row per user, as in the table top_n."""
    ids, scores = as_lists(finished.ranked, lists.item_ids)
    table = {
        "user_id": lists.user_ids.take(pa.array(users)),
        "item_ids": ids,
        "scores": scores,
        "source": lists.sources(users, finished),
        "n_model": pa.array(finished.n_model.astype(np.int16)),
        "n_category": pa.array(finished.n_category.astype(np.int16)),
        "segment": pa.array([lists.maker.ladder.segments[user] for user in users.tolist()], pa.string()),
    }
    if finished.because is None:
        reasons, positions = (pa.nulls(users.size, pa.list_(kind)) for kind in (pa.string(), pa.int32()))
    else:
        reasons, positions = as_columns(finished.because, finished.ranked.lengths, lists.item_ids)
    return pa.table({**table, "reasons": reasons, "because": positions})


def _save_others(files: StepFiles, lists: NightLists, parts: ListParts) -> None:
    for name, make in OTHER_TABLES.items():
        if f"{name}.parquet" not in files.hashes:
            files.save_table(f"{name}.parquet", make(lists))
    if "history.parquet" not in files.hashes:
        tables = histories(lists, parts)
        first = next(tables)
        with files.writer("history.parquet", first.schema) as writer:
            for table in chain([first], tables):
                writer.write_table(table)
