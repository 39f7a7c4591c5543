"""The checksum of lists: the same however they are cut, another as soon as anything in them is."""

import hashlib
import struct

import pyarrow as pa
import pytest

from recjobs.core.lists.checksum import list_digests, total
from tests.unit.hostile import HOSTILE

ROWS = [
    {"user_id": "b", "item_ids": ["x", "ü"], "scores": [0.5, 0.25], "source": "als", "n_model": 2},
    {"user_id": "a", "item_ids": [], "scores": [], "source": "popular", "n_model": 0},
    *(
        {"user_id": identifier, "item_ids": ["x"], "scores": [1.0], "source": "foldin", "n_model": 1}
        for identifier in HOSTILE
    ),
]
SHAPE = pa.schema(
    {
        "user_id": pa.string(),
        "item_ids": pa.list_(pa.string()),
        "scores": pa.list_(pa.float32()),
        "source": pa.string(),
        "n_model": pa.int16(),
    }
)


def lists(rows):
    return pa.Table.from_pylist(rows, SHAPE)


def checksum(*chunks):
    return total([list_digests(chunk) for chunk in chunks])


WHOLE = checksum(lists(ROWS))


def test_a_list_is_hashed_as_its_docstring_says():
    scores = struct.pack("!iiiii", 1, 0, 700, 2, 1) + struct.pack("!ifif", 4, 0.5, 4, 0.25)
    line = "b\x1fx\x1fü\x1fals\x1f2".encode() + scores
    users, digests = list_digests(lists(ROWS[:1]))
    assert (users.to_pylist(), digests.to_pylist()) == ([b"b"], [hashlib.sha256(line).digest()])
    assert checksum(lists(ROWS[:1])) == hashlib.sha256(hashlib.sha256(line).digest()).hexdigest()


def test_an_empty_list_has_the_header_of_an_empty_array():
    line = b"a\x1f\x1fpopular\x1f0" + struct.pack("!iii", 0, 0, 700)
    assert list_digests(lists(ROWS[1:2]))[1].to_pylist() == [hashlib.sha256(line).digest()]


@pytest.mark.parametrize("cut", [1, 2, 7, len(ROWS) - 1])
def test_chunks_and_their_order_do_not_matter(cut):
    table = lists(ROWS)
    assert checksum(table.slice(cut), table.slice(0, cut)) == WHOLE
    assert checksum(lists(ROWS[cut:]), lists(ROWS[:cut])) == WHOLE
    assert checksum(pa.concat_tables([lists(ROWS[:cut]), lists(ROWS[cut:])])) == WHOLE


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "c"},
        {"item_ids": ["ü", "x"]},
        {"item_ids": ["x"], "scores": [0.5]},
        {"scores": [0.5, 0.2500001]},
        {"source": "foldin"},
        {"n_model": 1},
    ],
)
def test_any_change_changes_it(change):
    assert checksum(lists([ROWS[0] | change, *ROWS[1:]])) != WHOLE


def test_no_lists_have_the_checksum_of_nothing():
    assert total([]) == hashlib.sha256(b"").hexdigest()
