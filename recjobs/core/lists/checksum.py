"""A checksum of finished lists that Postgres can compute from its own rows.

Per list: SHA-256 of user id, item ids, source and n_model joined by unit separators, then the scores as Postgres sends
an array of float4. Of all: SHA-256 of those, in byte order of the user id. The same in SQL is
`sql/queries/publish/list_checksum.sql`.
"""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FLOAT4 = 700
"""Postgres' number of the type float4."""
_SEPARATOR = "\x1f"
_ELEMENT = np.dtype([("length", ">i4"), ("value", ">f4")])


Digests = tuple[pa.Array, pa.Array]
"""User ids as bytes, and the digest of each one's list, 32 bytes."""


def list_digests(lists: pa.Table) -> Digests:
    """The digests of some lists."""
    users = lists["user_id"].combine_chunks()
    # A list with a missing item fails the contract: its digest does not matter.
    joined = pc.fill_null(pc.binary_join(lists["item_ids"].combine_chunks(), _SEPARATOR), "")
    text = pc.binary_join_element_wise(
        users, joined, lists["source"].combine_chunks(), lists["n_model"].combine_chunks().cast(pa.string()), _SEPARATOR
    )
    scores = lists["scores"].combine_chunks()
    ends = scores.offsets.to_numpy() - scores.offsets[0].as_py()
    elements = np.empty(int(ends[-1]), _ELEMENT)
    elements["length"], elements["value"] = 4, scores.flatten().to_numpy(zero_copy_only=False)
    sent = elements.tobytes()
    digests = [
        hashlib.sha256(line + _header(last - first) + sent[8 * first : 8 * last]).digest()
        for line, first, last in zip(text.cast(pa.binary()).to_pylist(), ends, ends[1:], strict=False)
    ]
    return users.cast(pa.large_binary()), pa.array(digests, pa.binary(32))


def _header(n: int) -> bytes:
    """Dimensions, flags, type, and of the one dimension its length and first subscript."""
    return np.array([1, 0, FLOAT4, n, 1] if n else [0, 0, FLOAT4], ">i4").tobytes()


def total(chunks: list[Digests]) -> str:
    """The checksum of all lists, independent of the chunks."""
    users = pa.chunked_array([users for users, _ in chunks], pa.large_binary()).combine_chunks()
    digests = pa.chunked_array([of_lists for _, of_lists in chunks], pa.binary(32)).combine_chunks()
    in_order = digests.take(pc.sort_indices(users))
    return hashlib.sha256(in_order.buffers()[1] or b"").hexdigest()
