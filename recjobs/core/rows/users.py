"""User attributes from the users' own source: segment and preferred categories."""

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows.items import names_of
from recjobs.core.rows.reason_codes import MAX_ID_BYTES
from recjobs.core.rows.validation import as_ids


def sound(users: pa.Table) -> pa.Table:
    """The rows with a valid id, ids as text; of several rows for one user the last."""
    ids = as_ids(users["user_id"].combine_chunks(), "user_id")
    length = pc.fill_null(pc.binary_length(ids), 0)
    fit = pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_ID_BYTES))
    fit = pc.and_(fit, pc.invert(pc.fill_null(pc.match_substring(ids, "\0"), False)))
    rows = users.set_column(users.schema.get_field_index("user_id"), "user_id", ids).filter(fit)
    last = {user: place for place, user in enumerate(rows["user_id"].to_pylist())}
    return rows.take(pa.array(sorted(last.values()), pa.int64()))


def table(user_ids: pa.Array, users: pa.Table | None, separator: str = "|") -> pa.Table:
    """The users of a night in order of id, with segment (null: none) and prefers (a list of categories)."""
    n = len(user_ids)
    columns: dict[str, list[object]] = {"segment": [None] * n, "prefers": [None] * n}
    if users is not None:
        place = pc.index_in(user_ids, users["user_id"].combine_chunks())
        columns |= {name: users[name].take(place).to_pylist() for name in columns if name in users.column_names}
    segment = pa.array([_text(value) for value in columns["segment"]], pa.string())
    prefers = pa.array([names_of(value, separator) for value in columns["prefers"]], pa.list_(pa.string()))
    return pa.table({"user_id": user_ids, "segment": segment, "prefers": prefers})


def _text(value: object) -> str | None:
    return None if value is None else str(value).replace("\0", "").strip() or None
