"""What an item of an answer says besides its id: title, reasons, and the columns that the catalog has."""

import pytest
from flask.testing import FlaskClient

from tests.webapp_world import Batch, World

pytest_plugins = ["tests.webapp_fixtures"]


def get(client: FlaskClient, path: str, **query: object) -> list[dict]:
    response = client.get(path, query_string=query)
    assert response.status_code == 200, response.text
    return response.json["items"]


def reason_ids_of(batch: Batch, user_id: str, place: int) -> list[str]:
    """The ids that speak for an item of a list."""
    reasons, packed = batch.reasons[user_id]
    return [reasons[p - 1] for p in (packed[place] >> shift & 1023 for shift in (0, 10, 20)) if p]


def reasons_of(batch: Batch, user_id: str, place: int) -> list[str]:
    """The titles, else ids, that speak for an item of a list."""
    return [batch.items[item_id][0] or item_id for item_id in reason_ids_of(batch, user_id, place)]


def columns_of(batch: Batch, item_id: str) -> dict:
    """The columns of an item that are there."""
    price = batch.items[item_id][2]
    url, image = batch.links.get(item_id, (None, None))
    return {name: value for name, value in (("url", url), ("image", image), ("price", price)) if value is not None}


def test_reasons_are_titles_strongest_first_and_only_where_there_are_some(client: FlaskClient, batch: Batch):
    assert "item2" in {reason for reasons, _ in batch.reasons.values() for reason in reasons}  # has no title
    lengths = set()
    for user_id in list(batch.reasons)[:60]:
        items = get(client, "/v1/shop/recommendations", user_id=user_id, n=30)
        assert [item["because"] for item in items] == [reasons_of(batch, user_id, place) for place in range(30)]
        lengths |= {len(item["because"]) for item in items}
    assert lengths == {0, 1, 2, 3}
    for user_id in ("u0001", "u0002", "nobody"):
        assert all(item["because"] == [] for item in get(client, "/v1/shop/recommendations", user_id=user_id))


def test_a_narrowed_list_has_the_same_reasons(client: FlaskClient, batch: Batch):
    own = batch.users["u0000"][0]
    items = get(client, "/v1/shop/recommendations", user_id="u0000", n=20, exclude=own[:2])
    assert [item["because"] for item in items] == [reasons_of(batch, "u0000", place) for place in range(2, 22)]


def test_each_reason_has_its_id_beside_its_title_in_every_kind_of_list(client: FlaskClient, batch: Batch):
    assert {'"quoted"', "item2"} <= {item_id for reasons, _ in batch.reasons.values() for item_id in reasons}
    users = list(batch.reasons)[:60]
    expected = {u: [reason_ids_of(batch, u, place) for place in range(30)] for u in batch.reasons}
    for user_id in users:
        path = "/v1/shop/recommendations"
        whole = get(client, path, user_id=user_id, n=30)
        assert [item["because_ids"] for item in whole] == expected[user_id]
        page = get(client, path, user_id=user_id, n=10, offset=5)
        assert [item["because_ids"] for item in page] == expected[user_id][5:15]
        narrowed = get(client, path, user_id=user_id, n=20, exclude=batch.users[user_id][0][:2])
        assert [item["because_ids"] for item in narrowed] == expected[user_id][2:22]
    answers = client.post("/v1/shop/recommendations:batch", json={"user_ids": users, "n": 30}).json["answers"]
    assert [[item["because_ids"] for item in answer["items"]] for answer in answers] == [expected[u] for u in users]
    for path, query in (
        ("recommendations", {"user_id": "nobody"}), ("popular", {}), ("similar", {"item_id": "item5"}),
        ("basket", {"item_id": "item5"}),
    ):  # fmt: skip
        assert all(item["because_ids"] == [] for item in get(client, f"/v1/shop/{path}", **query))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("recommendations", {"user_id": "u0000"}),
        ("recommendations", {"user_id": "nobody"}),
        ("recommendations", {"user_id": "u0000", "category": "kind 1"}),
        ("popular", {}),
        ("similar", {"item_id": "item5"}),
        ("basket", {"item_id": ["item5", "item6"]}),
    ],
)
def test_url_image_and_price_are_there_where_the_item_has_them(
    client: FlaskClient, batch: Batch, path: str, query: dict
):
    items = get(client, f"/v1/shop/{path}", **query, n=30)
    always = {"rank", "item_id", "title", "score", "source", "because", "because_ids"}
    for item in items:
        assert {k: v for k, v in item.items() if k not in always} == columns_of(batch, item["item_id"])
        assert item["title"] == batch.items[item["item_id"]][0]
    assert {key for item in items for key in item} >= always | {"price"}


def test_a_catalog_without_these_columns_shows_none_of_them(world: World, client: FlaskClient):
    batch = Batch("20240101T000000Z-1", "2024-01-01")
    batch.items = dict.fromkeys("abc", (None, None, None))
    batch.popular = {"all": (list("abc"), [3.0, 2.0, 1.0])}
    world.make_catalog("bare")
    world.publish("bare", batch)
    expected = {"rank": 1, "item_id": "a", "title": None, "score": 3.0, "source": "popular", "because": []}
    expected |= {"because_ids": []}
    assert get(client, "/v1/bare/popular", n=1) == [expected]


ADDRESSES = {
    "https://shop.example/1": True, "HTTP://shop.example/1?a=b:c": True, "/items/1": True, "items/1?next=a:b": True,
    "//cdn.example/1.webp": True, "?item=1": True, "#javascript:": True, "ö/ä b": True,
    "javascript:alert(1)": False, "JavaScript:alert(1)": False, " javascript:alert(1)": False,
    "java\tscript:alert(1)": False, "java\nscript:alert(1)": False, "\x01javascript:alert(1)": False,
    "javascript://https://shop.example/%0aalert(1)": False, "data:text/html,<script>alert(1)</script>": False,
    "vbscript:x": False, "file:///etc/passwd": False, "blob:https://shop.example/1": False, "\njavascript:x": False,
    "x\nhttps://shop.example:1": False,
}  # fmt: skip
"""By an url or image: whether it is one that may be shown as a link."""


def test_a_link_that_is_none_to_the_web_goes_out_nowhere(world: World, client: FlaskClient):
    batch = Batch("20240101T000000Z-1", "2024-01-01")
    batch.items = {f"i{k}": (f"Thing {k}", ["all"], 1.0) for k in range(len(ADDRESSES))}
    batch.links = {item_id: (link, link) for item_id, link in zip(batch.items, ADDRESSES, strict=True)}
    scores = [1 / rank for rank in range(1, len(batch.items) + 1)]
    batch.users = {"u": (list(batch.items), scores, "als", len(batch.items), 0)}
    batch.popular = {"all": (list(batch.items), scores), "category:all": (list(batch.items), scores)}
    batch.similar = {"i0": (list(batch.items)[1:], scores[1:])}
    world.make_catalog("links")
    world.publish("links", batch)
    safe = {link for link, is_safe in ADDRESSES.items() if is_safe}
    for path in (
        "recommendations?user_id=u", "recommendations?user_id=nobody", "recommendations?user_id=u&category=all",
        "popular", "basket?item_id=i0",
    ):  # fmt: skip
        items = client.get(f"/v1/links/{path}{'&' if '?' in path else '?'}n=30").json["items"]
        for name in ("url", "image"):
            shown = {item[name] for item in items if name in item}
            assert shown == {link for item in items for link in batch.links[item["item_id"]] if link in safe}, path
    assert world.sql("select url from items where url is not null", role="recjobs_reader", catalog="links") == [
        (link,) for link in ADDRESSES if link in safe
    ]
    for item_id in batch.items:
        assert "javascript:alert" not in client.get(f"/?catalog=links&item_id={item_id}").text


def test_a_user_with_a_thousand_reasons_gets_the_titles_of_those_that_are_shown(world: World, client: FlaskClient):
    batch = Batch("20240101T000000Z-1", "2024-01-01")
    item_ids = [f"i{k:04}" for k in range(1100)]
    batch.items = {item_id: (f"Title {item_id}", None, None) for item_id in item_ids}
    batch.users = {"u": (item_ids[1023:1053], [1 / rank for rank in range(1, 31)], "als", 30, 0)}
    batch.reasons = {"u": (item_ids[:1023], [1023 - k | 1 << 10 | 512 << 20 for k in range(30)])}
    batch.popular = {"all": (item_ids[:9], [9.0 - k for k in range(9)])}
    world.make_catalog("reasons")
    world.publish("reasons", batch)
    for rank, item in enumerate(get(client, "/v1/reasons/recommendations", user_id="u", n=30), 1):
        assert item["title"] == f"Title i{1022 + rank}"
        assert item["because"] == [f"Title i{1023 - rank:04}", "Title i0000", "Title i0511"]
        assert item["because_ids"] == [f"i{1023 - rank:04}", "i0000", "i0511"]
