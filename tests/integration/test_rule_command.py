"""`recjobs rule`: added, tried, listed, removed and put back, on a shop's own lists."""

import psycopg2
import pytest

from tests.commands import Command, Done
from tests.worlds import World


def rule(world: World, *arguments: str) -> Done:
    settings = {**world.settings, "RECJOBS_EDITOR_URL": world.postgres.cluster.url("recjobs_editor")}
    return Command(("rule", *arguments, "--catalog", world.name), settings).wait()


def first_of_all(world: World) -> tuple[str, int]:
    found = world.rows(
        "select item_id, count(*) as n from recommendations group by 1 order by n desc, item_id limit 1"
    )[0]
    return found["item_id"], found["n"]


def lists_with(world: World, item: str) -> int:
    return int(world.value("select count(*) from recommendations where item_id = %s", item))


def test_a_rule_is_tried_added_listed_removed_and_put_back(rolling: World):
    item, n = first_of_all(rolling)
    tried = rule(rolling, "try", "block", "--item", item, "--json").json
    assert (tried["touched"], tried["lists"]) == (n, tried["of"])
    assert lists_with(rolling, item) == n
    assert rule(rolling, "list").out.strip() == ("there are no rules: the lists are served as the night made them")

    added = rule(rolling, "add", "block", "--item", item, "--note", "recalled", "--author", "ann", "--json")
    rule_id = str(added.json["rule_id"])
    assert lists_with(rolling, item) == 0
    line = rule(rolling, "list").out
    for part in (rule_id, "in force", "block", f"item_id={item}", "by ann", "recalled"):
        assert part in line

    assert rule(rolling, "remove", rule_id, "--json").json == {"rule_id": int(rule_id), "changed": True}
    assert lists_with(rolling, item) == n
    assert rule(rolling, "restore", rule_id, "--json").json["changed"]
    assert lists_with(rolling, item) == 0
    assert rule(rolling, "remove", rule_id).code == 0
    assert "removed" in rule(rolling, "list", "--all").out


def test_a_rule_follows_the_pointer(rolling: World):
    rule(rolling, "add", "cap", "--at-most", "1", "--json")
    try:
        assert rolling.recjobs("roll-back").code == 0
        of_one_category = """
            select max(n) from (
                select count(*) as n
                from recommendations as r
                join items as i using (item_id)
                cross join lateral unnest(i.categories) as c (category)
                group by r.user_id, c.category
            ) as x
        """
        assert rolling.value(of_one_category) == 1
    finally:
        for found in rule(rolling, "list", "--json").json["rules"]:
            assert rule(rolling, "remove", str(found["rule_id"])).code == 0


def test_what_makes_no_sense_is_a_misuse(rolling: World):
    for arguments, why in (
        (("add", "pin", "--item", "x"), "a pin, and nothing else, has a place"),
        (("add", "pin", "--item", "x"), "a pin needs a place, 1 to 1000"),
        (("add", "boost", "--item", "x"), "a boost needs a factor"),
        (("add", "block", "--item", "x", "--place", "1"), "this rule (block) has no place"),
        (("add", "pin", "--place", "1"), "a pin needs an item_id"),
        (("add", "block"), "any other rule an item_id or a category"),
        (("try", "block", "--item", "x", "--until", "soon"), "soon"),
        (("remove", "999999"), "there is no rule 999999"),
    ):
        done = rule(rolling, *arguments)
        assert done.code == 64
        assert why in done.err
    assert rule(rolling, "add", "hide", "--item", "x").code == 64


def test_a_rule_on_what_the_live_batch_does_not_have_is_refused_with_the_nearest_names(rolling: World):
    for arguments, near in (
        (("block", "--item", "item01 "), 'no item "item01 " in the live batch; the nearest: "item01"'),
        (("block", "--item", "ITEM07"), 'the nearest: "item07"'),
        (("block", "--item", "thing no. 12"), 'the nearest: "item12"'),
        (("block", "--item", "iten05"), '"item05"'),
        (("block", "--item", "zzz"), "nor a similar one"),
        (("block", "--category", "taste 1"), 'no category "taste 1" in the live batch; the nearest: "Taste 1"'),
        (("cap", "--category", "Tase 2", "--at-most", "3"), '"Taste 2"'),
        (("block", "--item", "item01", "--segment", "gold"), 'no segment "gold" in the live batch'),
    ):
        for verb in ("add", "try"):
            done = rule(rolling, verb, *arguments)
            assert (done.code, near in done.err, "allow_unknown" in done.err) == (64, True, True), done.err
    with pytest.raises(psycopg2.Error, match=r"the nearest: .*item01"):
        rolling.rows("insert into rules (kind, item_id) values ('block', 'item01 ')", role="recjobs_editor")
    assert rule(rolling, "list", "--json").json == {"rules": []}

    before = rolling.rows("select * from served_lists order by user_id")
    added = rule(rolling, "add", "block", "--item", "to come", "--allow-unknown", "--json")
    assert added.code == 0, added.err
    allowed = (
        "select set_config('recjobs.allow_unknown', 'on', true); insert into rules (kind, item_id) values (%s, %s)"
    )
    rolling.rows(allowed + " returning rule_id", "block", "to come", role="recjobs_editor")
    assert rolling.rows("select * from served_lists order by user_id") == before
    for found in rule(rolling, "list", "--json").json["rules"]:
        assert rule(rolling, "remove", str(found["rule_id"])).code == 0
