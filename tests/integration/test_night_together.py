"""What a night lists as bought together is what the orders of its files say, in SQL and in the report."""

from collections import Counter
from itertools import permutations

from tests.worlds import World


def test_every_item_has_the_items_of_its_orders_that_stand_on_five_or_more(published: World):
    orders = published.goods.sound.groupby(["user", published.goods.sound["at"].dt.date])["item"].agg(set)
    n_orders = Counter(item for order in orders for item in order)
    sold = set(published.goods.items.query("sold == 'yes'")["id"])
    expected = {
        (first, second)
        for order in orders
        for first, second in permutations(order, 2)
        if n_orders[second] >= 5 and second in sold
    }
    rows = published.rows("select item_id, rank, together_item_id from together_items order by item_id, rank")
    assert len(expected) > 100
    assert {(row["item_id"], row["together_item_id"]) for row in rows} == expected
    some = next(iter(expected))[0]
    by_function = published.rows("select rank, item_id from together(%s, 5)", some)
    listed = [(row["rank"], row["together_item_id"]) for row in rows if row["item_id"] == some][:5]
    assert [(row["rank"], row["item_id"]) for row in by_function] == listed


def test_the_report_says_what_the_lists_are_worth(published: World):
    html = published.rows("select html from reports where batch_id = %s", published.live())[0]["html"]
    assert "<h2>Lists of items</h2>" in html
    assert html.count("which other items stand on an order") == 1
