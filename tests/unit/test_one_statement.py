"""One select or something else: told by the tokens that Postgres would read."""

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
        "select $é$;$é$, $É_1$ ; $É_1$",
        "select é, 'é$x$' from ü",
        r"select '\', 'a\'",
        r"select U&'\0061;', B'10', X'1F', N';'",
        "select '{# ; #}', '{a,b}'::text[]",
        "select 2 */* ; */3, zz from t",
        "select a#-'{b}', a #>> '{c}', |/ 4, b ~* 'x;' from t",
        "(select 1) union (select 2)",
        "Values (1), (2)",
        "table t",
        "with a as (select 1) values (1)",
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
        ("select 1 --\r; drop table x", "several"),
        ("select 'é$x$'; drop table y -- $x$'", "several"),
        ("select é$x$; drop table y; select $x$ $x$", "several"),
        ("select \u00a0$x$; drop table y; select $x$ $x$", "several"),
        ("select $é$ $ze9y$ ' $é$; drop table y; -- '", "several"),
        (r"select 'a\'; drop table x; --'", "several"),
        (r"select E'a\\'; drop table x; --'", "several"),
        (r"select éE'a\'; drop table x; --'", "several"),
        ("select 1 /* /* */ */; drop table x", "several"),
        ("select /*+ ' */ 1; drop table x; -- '", "several"),
        ("select 1 {# ; drop table x; --#}", "several"),
        ("select 1 #--'\n; drop table x; --'", "several"),
        ("select |/*'*/1; drop table x; --'", "several"),
        ("select $1;a$ x $1;a$", "parameter|no quote"),
        ("select 'a", "quote"),
        ("insert into t values (1) returning *", "begins with insert"),
        ("delete from t returning *", "begins with delete"),
        ("explain select 1", "begins with explain"),
        ("copy t to stdout", "begins with copy"),
        ("", "empty"),
        (" -- nothing\n;", "empty"),
        (";", "empty"),
    ],
)
def test_what_is_none_or_several_is_refused(sql, why):
    with pytest.raises(ValueError, match=why):
        one_statement(sql)
