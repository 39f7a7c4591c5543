"""A user's list without some items, of one category, or further down: full as long as the catalogue is."""

import random

import pytest
from flask.testing import FlaskClient

from tests.webapp_world import ODD_IDS, Batch, World

pytest_plugins = ["tests.webapp_fixtures"]


def get(client: FlaskClient, catalog: str = "shop", **query: object) -> dict:
    response = client.get(f"/v1/{catalog}/recommendations", query_string=query)
    assert response.status_code == 200, response.text
    return response.json


def expected(
    batch: Batch, user_id: str, exclude: list[str] = (), category: str | None = None, prefer: list[str] = ()
) -> list[tuple[str, str]]:
    """(item, source) of the whole list that is served: the user's own, what is popular, the rest of the catalogue."""
    own: list[tuple[str, str]] = []
    if user_id in batch.users:
        item_ids, _, source, n_model, n_category = batch.users[user_id]
        sources = [source] * n_model + ["category"] * n_category + ["popular"] * len(item_ids)
        own = list(zip(item_ids, sources, strict=False))
    else:
        scores: dict[str, float] = {}
        for name in prefer:
            for item_id, score in zip(*batch.popular.get(f"category:{name}", ([], [])), strict=True):
                scores[item_id] = max(score, scores.get(item_id, 0))
        own = [(item_id, "category") for item_id in sorted(scores, key=lambda i: -scores[i])]
    popular = batch.popular.get("all" if category is None else f"category:{category}", ([], []))[0]
    filled = [(item_id, "popular" if category is None else "category") for item_id in popular]
    # A popular list that is not cut off holds the whole catalogue, or the whole category.
    rest = [(item_id, "popular") for item_id in sorted(batch.items, key=str.encode)]
    if len(popular) < batch.top_n_stored:
        rest = []
    listed: dict[str, str] = {}
    for n, (item_id, source) in enumerate([*own, *filled, *rest]):
        of_it = category is None or category in (batch.items[item_id][1] or [])
        new = n < len(own) or (item_id not in batch.seen.get(user_id, []) and item_id not in batch.gone)
        if of_it and new and item_id not in exclude:
            listed.setdefault(item_id, source)
    return list(listed.items())[: batch.top_n_served]


def shown(answer: dict) -> list[tuple[str, str]]:
    return [(item["item_id"], item["source"]) for item in answer["items"]]


def test_the_list_goes_on_at_an_offset(client: FlaskClient, batch: Batch):
    for user_id in ("u0001", "u0002", "nobody"):
        whole = get(client, user_id=user_id, n=30)
        for offset, n in ((0, 30), (7, 5), (29, 1), (12, 18)):
            part = get(client, user_id=user_id, n=n, offset=offset)
            assert part["items"] == whole["items"][offset : offset + n]
            assert {**part, "items": 0, "age_seconds": 0} == {**whole, "items": 0, "age_seconds": 0}
        assert get(client, user_id=user_id, offset=25)["items"] == whole["items"][25:]


def test_what_is_excluded_is_not_there_and_the_list_is_full_all_the_same(client: FlaskClient, batch: Batch):
    own = batch.users["u0000"][0]
    answer = get(client, user_id="u0000", n=30, exclude=own[:3])
    assert [item["item_id"] for item in answer["items"]] == own[3:33]

    answer = get(client, user_id="u0000", n=30, exclude=own)
    assert shown(answer) == expected(batch, "u0000", exclude=own)
    assert len(answer["items"]) == 30
    assert answer["source"] == "als"


def test_an_id_may_hold_a_comma_and_anything_else(client: FlaskClient, batch: Batch):
    assert shown(get(client, user_id="u0000", n=30, exclude=ODD_IDS)) == expected(batch, "u0000", exclude=ODD_IDS)
    assert shown(get(client, user_id="u0000", n=30, exclude=["item1,item2"])) == expected(batch, "u0000")


def test_a_category_has_first_what_the_users_own_list_has_of_it(client: FlaskClient, batch: Batch):
    answer = get(client, user_id="u0000", n=30, category="kind 2")
    own = [i for i in batch.users["u0000"][0] if "kind 2" in (batch.items[i][1] or [])]
    assert [item["item_id"] for item in answer["items"]][: len(own)] == own
    assert shown(answer) == expected(batch, "u0000", category="kind 2")
    assert len(answer["items"]) == 30

    guest = get(client, user_id="nobody", n=30, category="kind 1")
    assert guest["source"] == "category"
    assert shown(guest) == expected(batch, "nobody", category="kind 1")
    assert [item["item_id"] for item in guest["items"]][:2] == ["item1", "item7"]  # item4 is of no kind


def test_a_category_that_no_item_has_is_404(client: FlaskClient):
    refused = client.get("/v1/shop/recommendations", query_string={"user_id": "u0000", "category": "kind"})
    assert (refused.status_code, refused.json["error"]["code"]) == (404, "unknown_category")


def test_a_guests_preferred_categories_come_first_and_a_known_user_has_their_own_list(
    client: FlaskClient, batch: Batch
):
    prefer = ["kind 1", "Tea & <cake>", "of no item"]
    guest = get(client, user_id="nobody", n=30, prefer=prefer)
    assert guest["source"] == "category"
    listed = expected(batch, "nobody", prefer=prefer)
    assert sorted(shown(guest)) == sorted(listed)
    assert [source for _, source in shown(guest)] == ["category"] * 6 + ["popular"] * 24
    scores = [item["score"] for item in guest["items"] if item["source"] == "category"]
    assert scores == sorted(scores, reverse=True)

    assert get(client, user_id="u0000", n=30, prefer=prefer)["items"] == get(client, user_id="u0000", n=30)["items"]
    assert (
        get(client, user_id="nobody", n=30, prefer="of no item")["items"]
        == get(client, user_id="nobody", n=30)["items"]
    )


def test_any_mixture_is_what_the_ladder_gives_in_sql_and_by_http(world: World, client: FlaskClient, batch: Batch):
    draw = random.Random(3)
    users = [*batch.users, "nobody", "nobody else"]
    for _ in range(120):
        user_id = draw.choice(users)
        own = batch.users.get(user_id, batch.popular["all"])[0]
        exclude = draw.sample(own, draw.randrange(40)) + draw.sample(list(batch.items), draw.randrange(50))
        category = draw.choice([None, None, "kind 0", "kind 1", "kind 2"])
        offset = draw.randrange(30)
        n = draw.randint(1, 30 - offset)
        wanted = {"user_id": user_id, "exclude": exclude, "offset": offset, "n": n}
        answer = get(client, **wanted, **({} if category is None else {"category": category}))

        assert shown(answer) == expected(batch, user_id, exclude, category)[offset : offset + n]
        assert [item["rank"] for item in answer["items"]] == list(range(offset + 1, offset + 1 + n))[
            : len(answer["items"])
        ]
        by_source: dict[str, list[float]] = {}
        for item in answer["items"]:
            by_source.setdefault(item["source"], []).append(item["score"])
        assert all(scores == sorted(scores, reverse=True) for scores in by_source.values())
        rows = world.sql(
            "select rank, item_id, score, source, batch_id from recommend_narrowed(%s, %s, %s, %s::text[], %s)",
            user_id, n, offset, exclude, category, role="recjobs_reader", catalog="shop",
        )  # fmt: skip
        batch_id = answer["batch_id"]
        assert rows == [(i["rank"], i["item_id"], i["score"], i["source"], batch_id) for i in answer["items"]]


def test_reasons_stay_with_their_items(client: FlaskClient):
    whole = get(client, user_id="u0000", n=30)
    because = {item["item_id"]: item["because"] for item in whole["items"]}
    assert any(because.values())
    for item in get(client, user_id="u0000", n=20, exclude=[whole["items"][0]["item_id"]])["items"]:
        assert item["because"] == because.get(item["item_id"], item["because"])


@pytest.fixture(scope="module")
def tiny(world: World) -> Batch:
    """Twelve items, one of them gone, in two categories; a user who has seen two."""
    batch = Batch("20240101T000000Z-1", "2024-01-01", top_n_served=12, top_n_stored=12, gone=frozenset("l"))
    batch.items = {item: (None, ["left" if item < "f" else "right"], None) for item in "abcdefghijkl"}
    batch.users = {"u": (["e", "f"], [0.5, 0.25], "als", 2, 0)}
    batch.seen = {"u": ["a", "g"]}
    batch.popular = {"all": (list("abgcdefhijk"), [11.0 - k for k in range(11)])}
    batch.popular |= {
        "category:left": (list("abcde"), [5.0 - k for k in range(5)]),
        "category:right": (list("fghijk"), [6.0 - k for k in range(6)]),
    }
    world.make_catalog("tiny")
    world.publish("tiny", batch)
    return batch


def test_a_popular_list_that_is_cut_off_is_not_the_end_of_the_catalogue(world: World, client: FlaskClient):
    batch = Batch("20240101T000000Z-1", "2024-01-01", top_n_served=3, top_n_stored=3, gone=frozenset("e"))
    batch.items = {item: (None, ["even" if item in "bdfh" else "odd"], None) for item in "abcdefgh"}
    batch.users = {"u": (["a"], [0.5], "als", 1, 0)}
    batch.seen = {"u": ["d"]}
    batch.popular = {"all": (["h", "g", "f"], [3.0, 2.0, 1.0]), "category:even": (["h", "f", "d"], [3.0, 2.0, 1.0])}
    world.make_catalog("deep")
    world.publish("deep", batch)
    assert ids(get(client, "deep", user_id="u", n=3, exclude=["h", "g"])) == "afb"
    assert ids(get(client, "deep", user_id="nobody", n=3, exclude=["h", "g", "f"])) == "abc"
    assert ids(get(client, "deep", user_id="u", n=3, category="even")) == "hfb"
    answer = get(client, "deep", user_id="nobody", n=3, exclude=["h", "f"])
    assert [(i["item_id"], i["score"], i["source"]) for i in answer["items"]][1:] == [
        ("a", 0, "popular"),
        ("b", 0, "popular"),
    ]


def ids(answer: dict) -> str:
    return "".join(item["item_id"] for item in answer["items"])


def test_a_small_catalogue_is_served_whole(client: FlaskClient, tiny: Batch):
    assert ids(get(client, "tiny", user_id="u", n=12, exclude="f")) == "ebcdhijk"
    assert ids(get(client, "tiny", user_id="u", n=12, category="left")) == "ebcd"
    assert ids(get(client, "tiny", user_id="nobody", n=12, category="left")) == "abcde"
    assert ids(get(client, "tiny", user_id="nobody", n=12, exclude=list("bcd"))) == "agefhijk"
    assert ids(get(client, "tiny", user_id="nobody", n=12, prefer="left", exclude="a")) == "bcdegfhijk"
    nothing = get(client, "tiny", user_id="u", n=12, category="left", exclude=list("ebcd"))
    assert nothing["items"] == []


def test_rules_hold_in_what_is_narrowed(world: World, client: FlaskClient, tiny: Batch):
    def with_rules(*rules: str, **wanted: object) -> str:
        kept = [world.sql("select add_rule(%s)", rule, catalog="tiny")[0][0] for rule in rules]
        try:
            return ids(get(client, "tiny", n=12, **wanted))
        finally:
            for rule_id in kept:
                world.sql("select remove_rule(%s, 'test')", rule_id, catalog="tiny")

    block = '{"kind": "block", "item_id": "h"}'
    pin = '{"kind": "pin", "item_id": "k", "place": 1}'
    cap = '{"kind": "cap", "category": "left", "at_most": 2}'
    assert with_rules(block, user_id="u", exclude="f") == "ebcdijk"
    assert with_rules(block, user_id="u", category="right") == "fijk"
    assert with_rules(pin, user_id="u", exclude="f") == "kebcdhij"
    assert with_rules(pin, user_id="u", exclude=["f", "k"]) == "ebcdhij"
    assert with_rules(pin, user_id="u", category="left") == "ebcd"
    assert with_rules('{"kind": "pin", "item_id": "g", "place": 1}', user_id="u", exclude="f") == "ebcdhijk"
    assert with_rules(cap, user_id="u", category="left") == "eb"
    assert with_rules(cap, user_id="u", exclude="f") == "ebhijk"


def test_a_pin_comes_into_a_narrowed_list_from_outside(world: World, client: FlaskClient):
    batch = Batch("20240101T000000Z-1", "2024-01-01", top_n_served=2, top_n_stored=4)
    batch.items = dict.fromkeys("abcdefgh", (None, None, None))
    batch.users = {"u": (list("abcd"), [0.4, 0.3, 0.2, 0.1], "als", 4, 0)}
    batch.popular = {"all": (list("abef"), [4.0, 3.0, 2.0, 1.0])}
    world.make_catalog("pins")
    world.publish("pins", batch)
    assert ids(get(client, "pins", user_id="u", n=2, exclude="a")) == "bc"
    world.sql("""select add_rule('{"kind": "pin", "item_id": "h", "place": 1}')""", catalog="pins")
    answer = get(client, "pins", user_id="u", n=2, exclude="a")
    assert [(i["item_id"], i["source"], i["score"]) for i in answer["items"]] == [
        ("h", "pinned", 1),
        ("b", "als", pytest.approx(0.3)),
    ]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("offset=-1", "bad_offset"),
        ("offset=", "bad_offset"),
        ("offset=1.0", "bad_offset"),
        ("offset=%D9%A1", "bad_offset"),
        ("offset=30", "bad_offset"),
        ("offset=21&n=10", "bad_offset"),
        ("offset=999999999999999999999", "bad_offset"),
        ("offset=" + "9" * 5000, "bad_offset"),
        ("n=31&exclude=x", "bad_n"),
        ("offset=1&offset=2", "repeated_parameter"),
        ("category=a&category=b", "repeated_parameter"),
        ("&".join(f"exclude={k}" for k in range(101)), "repeated_parameter"),
        ("&".join(f"prefer={k}" for k in range(21)), "repeated_parameter"),
        ("exclude=", "missing_parameter"),
        ("exclude=a%00", "bad_id"),
        ("exclude=" + "x" * 257, "bad_id"),
        ("category=", "missing_parameter"),
        ("prefer=%ff", "bad_encoding"),
        ("exclude[]=x", "unknown_parameter"),
    ],
)
def test_a_wish_that_makes_no_sense_is_400(client: FlaskClient, given: str, code: str):
    for path in ("/v1/shop/recommendations?user_id=u0001&", "/v1/shop/users/u0001/recommendations?"):
        response = client.get(path + given)
        assert (response.status_code, response.json["error"]["code"]) == (400, code), response.text
    assert client.get("/v1/shop/recommendations?user_id=u0001&offset=10&n=20").status_code == 200


def test_a_catalog_without_a_live_batch_is_503_for_every_wish(client: FlaskClient):
    for wish in ("exclude=x", "category=x", "prefer=x", "offset=3"):
        response = client.get(f"/v1/empty/recommendations?user_id=u&{wish}")
        assert (response.status_code, response.json["error"]["code"]) == (503, "nothing_published")
