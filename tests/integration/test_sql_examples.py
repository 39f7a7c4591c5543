"""Every query that analysts are shown runs, as a reader may run it, and answers."""

import re

import pytest

from tests.commands import ROOT
from tests.worlds import World

EXAMPLES = [text.strip() for text in (ROOT / "sql" / "examples.sql").read_text().split(";\n") if text.strip()]


def question(statement: str) -> str:
    return statement.splitlines()[0].removeprefix("-- ")


def test_there_are_a_dozen_each_with_its_question():
    assert len(EXAMPLES) >= 10
    for statement in EXAMPLES:
        assert re.match(r"-- [A-Z][^\n]*\?\n(select|with)\b", statement), statement
    assert len({question(statement) for statement in EXAMPLES}) == len(EXAMPLES)


@pytest.mark.parametrize("statement", EXAMPLES, ids=question)
def test_an_example_answers_its_question_for_a_reader(published: World, statement: str):
    connection = published.postgres.connect("recjobs_reader")
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"set search_path to {published.name}")
            cursor.execute(statement)
            rows = cursor.fetchall()
            assert rows
            names = [column.name for column in cursor.description or ()]
            assert len(set(names)) == len(names)
            for n, name in enumerate(names):
                assert any(row[n] is not None for row in rows) or name == "reason", f"{name} is always null"
    finally:
        connection.close()


def answer(world: World, of: str) -> list[dict[str, object]]:
    return world.rows(next(statement for statement in EXAMPLES if of in question(statement)))


def test_the_answers_are_right_where_we_know_them(published: World):
    """150 customers: 149 have a list of their own, one has bought everything; every other list has 10 items or 3."""
    served = answer(published, "served by what")
    assert {row["source"]: row["customers"] for row in served} == {"als": 149, "exhausted": 1}
    grown = answer(published, "data grow")
    assert [row["n_interactions"] for row in grown] == [1594, 1335]
    assert [row["more_than_the_night_before"] for row in grown] == [1594 - 1335, None]
    shares = answer(published, "categories")
    assert {row["category"] for row in shares} == {f"Taste {k}" for k in range(4)}
    assert 99.5 <= sum(float(str(row["percent_of_places"])) for row in shares) <= 100.5
    assert answer(published, "Who changed")[0]["batch_id"] == published.live()
    assert {row["reason"] for row in answer(published, "wrong with the data")} >= set(published.goods.bad)
