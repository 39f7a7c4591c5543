"""Make every user's list, the similar items and the popular lists. Lists are written in chunks; a rerun on
the same kernel resumes."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.adapters.step_files import StepFiles
from recjobs.core.lists.finished import Lists
from recjobs.core.lists.ladder import as_lists
from recjobs.core.lists.reasons import as_columns
from recjobs.night.exposure import rotation_tonight, shown_table
from recjobs.night.handovers import INPUTS
from recjobs.night.lists import NightLists, UserLists
from recjobs.night.night import Night
from recjobs.night.other_tables import OTHER_TABLES
from recjobs.night.spark_lists import parts_on_spark

CHUNK_USERS = 20_000


def run(night: Night) -> dict[str, int]:
    """Write top_n-*.parquet, similar.parquet, popular.parquet, items.parquet and history.parquet; with rotation,
    shown-*.parquet."""
    lists = NightLists(night)
    lists.rotation = rotation_tonight(night)
    n_users, n = len(lists.user_ids), night.catalog.top_n.stored
    # What `other_tables` need of the maker is there before they are made beside the lists.
    completed, _ = lists.maker.completed, lists.maker.ladder
    with night.writing("score", resume_key=night.key_of(*INPUTS["score"])) as files, ThreadPoolExecutor(1) as beside:
        saving_others = beside.submit(_save_others, files, lists)
        missing = [k for k in range(-(-n_users // CHUNK_USERS)) if _name(k) not in files.hashes]
        if night.catalog.engine == "spark":
            for parts in parts_on_spark(lists, missing, CHUNK_USERS, n, _table):
                for part in parts:
                    files.take(_name(part.number), part.path, part.sha256)
                files.checkpoint()
        else:
            _make_parts(files, lists, missing, n)
        if lists.rotation is not None:
            for number in range(-(-n_users // CHUNK_USERS)):
                listed = pq.read_table(pa.BufferReader(files.read(_name(number))), columns=["user_id", "item_ids"])
                shown = shown_table(lists.rotation, listed, lists.user_ids, lists.item_ids)
                files.save_table(f"shown-{number:05d}.parquet", shown)
        saving_others.result()
    predicted = int((completed.predicted & lists.maker.known.eligible).sum()) if completed else 0
    return {"users": n_users, "items": len(lists.item_ids), "predicted": predicted, "n": n}


def _name(number: int) -> str:
    return f"top_n-{number:05d}.parquet"


def _make_parts(files: StepFiles, lists: UserLists, numbers: list[int], n: int) -> None:
    """Make the lists of chunks of users; each is written, and noted as finished, while the next one is made."""

    def write(number: int, users: np.ndarray, finished: Lists) -> None:
        files.save_table(_name(number), _as_table(lists, users, finished))
        files.checkpoint()

    n_users, written = len(lists.user_ids), Future[None]()
    written.set_result(None)
    with ThreadPoolExecutor(1) as writing:
        for number in numbers:
            users = _active(lists, np.arange(number * CHUNK_USERS, min((number + 1) * CHUNK_USERS, n_users)))
            finished = lists.of(users, n)
            written.result()
            written = writing.submit(write, number, users, finished)
        written.result()


def _active(lists: UserLists, users: np.ndarray) -> np.ndarray:
    """The users who get a list."""
    return np.asarray(users[~lists.maker.is_inactive(users)])


def _table(lists: UserLists, users: np.ndarray, n: int) -> pa.Table:
    """The lists of the active ones of some users, see `_as_table`."""
    users = _active(lists, users)
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


def _save_others(files: StepFiles, lists: NightLists) -> None:
    for name, make in OTHER_TABLES.items():
        if f"{name}.parquet" not in files.hashes:
            files.save_table(f"{name}.parquet", make(lists))
