"""One statement or several: told by quotes, comments and semicolons alone."""

import pytest

from recjobs.core.rows.one_statement import one_statement


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "select ';'",
        "select 'it''s; fine'",
        r"select E'\';', e'\\'",
        "select ';' as \";\"",
        "select 1 -- ; no more",
        "select /* ; /* ; */ ; */ 1",
        "select $$;$$, $a$ $b$ ; $a$",
        "select '--', 1",
        "with a as (select 1) select * from a",
        "select a$b, 1 from t",
    ],
)
@pytest.mark.parametrize("end", ["", ";", " ; \n", "; -- the end", "; /* ; */"])
def test_what_is_one_statement_stays_as_it_is(sql, end):
    if "--" in sql and end:
        end = f"\n{end}"
    assert one_statement(sql + end).strip() == (sql + end.partition(";")[0]).strip()


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select 1; drop table t", "several"),
        ("select 1;;", "several"),
        ("select 1; -- x\n drop table t", "several"),
        ("select 1; /* x */ drop table t", "several"),
        ("select ''';', 1; commit", "several"),
        ("select $a$ $$ $a$; commit", "several"),
        ("select 1; 'x'", "several"),
        ("select 1) as q; drop table t; --", "bracket"),
        ("select 1) as q, (select 2", "bracket"),
        ("select /* 1", "comment"),
        ("", "empty"),
        (" -- nothing\n;", "empty"),
        (";", "empty"),
    ],
)
def test_what_is_none_or_several_is_refused(sql, why):
    with pytest.raises(ValueError, match=why):
        one_statement(sql)
