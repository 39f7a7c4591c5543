"""`recjobs export-user`: what is held about one person, and nothing of anybody else."""

import json
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from recjobs.core.rows.people import is_of, mentions, without_mentions, without_person
from tests.integration.test_backup import recjobs
from tests.people import night_of
from tests.worlds import World

PERSON = "o'h\"a & <7>"
ROWS = [(PERSON, "i1"), (PERSON, "i3"), ("a", "i1"), ("z", "i2")]


@pytest.mark.parametrize("user_id", [PERSON, "z"])
def test_all_that_is_held_about_a_person_is_written(empty: World, user_id: str):
    """Of two batches; the first user's id has signs that JSON and HTML escape, and rows of it were quarantined."""
    batches = [night_of(empty, day, ROWS, PERSON) for day in (1, 2)]
    done = recjobs(empty, "export-user", "--catalog", empty.name, "--user-id", user_id)
    assert done.code == 0, done.err
    found = done.json
    assert [(row["batch_id"], row["item_ids"]) for row in found["lists"]] == [
        (each, ["i1", "i2", "i3"]) for each in batches
    ]
    assert {row["user_id"] for row in [*found["lists"], *found["history"]]} == {user_id}
    assert len(found["history"]) == 2
    files = {(each["step"], each["file"]): each for each in found["artifacts"] if each["batch_id"] == batches[1]}
    bought = [item for user, item in ROWS if user == user_id]
    assert [row["item_id"] for row in files["validate", "interactions.parquet"]["rows"]] == bought
    assert [row["item_id"] for row in files["extract", "source-000.parquet"]["rows"]] == bought
    row = sorted({user for user, _ in ROWS}).index(user_id)
    assert files["refit", "model.npz"]["factors"] == [2 * row + 2, 2 * row + 3]
    assert {*files} >= {
        ("validate", "users.parquet"), ("train", "candidate.npz"), ("train", "champion_recipe.npz"),
        ("evaluate", "lists.parquet"), ("evaluate", "unfiltered.parquet"), ("score", "top_n-00000.parquet"),
        ("score", "history.parquet"),
    }  # fmt: skip
    is_named = user_id == PERSON
    assert (("validate", "rejected.parquet") in files) == is_named
    assert (len(found["quarantined"]), len(found["messages"])) == ((2, 4) if is_named else (0, 0))
    assert found["unreadable"] == []


def test_a_file_is_only_for_who_asked_and_is_never_overwritten(empty: World, tmp_path: Path):
    verb, path = ("export-user", "--catalog", empty.name, "--user-id"), tmp_path / "person.json"
    nobody = recjobs(empty, *verb, "nobody", "--to", str(path))
    assert (nobody.code, nobody.json) == (0, {"file": str(path)})
    assert "holds nothing about this user id" in nobody.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert (json.loads(text)["user_id"], json.loads(text)["artifacts"]) == ("nobody", [])
    again = recjobs(empty, *verb, "somebody", "--to", str(path))
    assert (again.code, "is there already" in again.message) == (64, True)
    assert path.read_text() == text
    nowhere = recjobs(empty, *verb, "somebody", "--to", str(tmp_path / "no" / "person.json"))
    assert (nowhere.code, "cannot be written" in nowhere.message) == (64, True)


def test_a_person_is_found_in_messages_and_raw_values_and_nobody_else():
    message = "3 lists break user_twice (such as a, 7, 77); 7 items (such as 7)"
    assert without_mentions(message, "7") == (
        "3 lists break user_twice (such as a, (erased), 77); 7 items (such as (erased))"
    )
    assert [mentions(message, each) for each in ("a", "77", "3", "items")] == [True, True, False, False]
    raw = pa.array(["U1", '"U1"', " 'U1'", "U11", None, ""])
    assert is_of("U1", raw).tolist() == [True, True, True, False, False, False]
    assert is_of('"U1"', raw).tolist() == [True, True, True, False, False, False]
    page = (
        '<details class="user" open>\n<summary><b>a&amp;b</b> <small>x</small></summary><p>1</p></details>\n'
        '<details class="user">\n<summary><b>c</b></summary></details>\n'
        '<div class="pair served"><h3>a&amp;b <small>als</small></h3>\n<div><ul></ul></div>\n<div></div></div>\n'
        "<td>such as a&amp;b</td>"
    )
    assert without_person(page, "a&b") == (
        '<details class="user">\n<summary><b>c</b></summary></details>\n<td>such as (erased)</td>'
    )
