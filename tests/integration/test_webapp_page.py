"""The page as the server renders it, which is how it works without JavaScript."""

import re
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from tests.webapp_world import INERT_TITLE, ODD_IDS, Batch, World, shop_batch, start_world

pytest_plugins = ["tests.webapp_fixtures"]


class Outline(HTMLParser):
    """Texts, links and elements of a page, as a browser without script would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data)

    def has(self, *texts: str) -> bool:
        whole = " ".join(self.texts)
        return all(text in whole for text in texts)

    def with_class(self, tag: str, name: str) -> list[dict[str, str | None]]:
        return [attrs for t, attrs in self.elements if t == tag and name in (attrs.get("class") or "").split()]


def page(client: FlaskClient, status: int = 200, **query: str) -> Outline:
    response = client.get("/", query_string=query)
    assert response.status_code == status, response.text
    assert response.content_type == "text/html; charset=utf-8"
    return Outline(response.text)


def test_a_customer_has_their_past_on_one_side_and_their_list_on_the_other(client: FlaskClient, batch: Batch):
    shown = page(client, catalog="shop", user_id="u0001")
    listed = batch.users["u0001"][0][:20]
    bought = [item for item, _ in batch.history["u0001"]]

    assert shown.has("Bought lately", "1 Dec 2023", "What we would show them", "5 category, 10 fresh, 5 popular")
    cards = shown.with_class("a", "title")
    assert len(cards) == len(listed) == 20
    for item in [*listed, *bought]:
        assert shown.has(batch.items[item][0] or item)
    assert "We do not know this customer" not in " ".join(shown.texts)


def test_the_page_shows_the_very_list_of_the_api_in_its_order(client: FlaskClient):
    answer = client.get("/v1/shop/recommendations?user_id=u0002").json
    shown = page(client, catalog="shop", user_id="u0002")
    titles = [item["title"] or item["item_id"] for item in answer["items"]]
    places = [shown.texts.index(title, shown.texts.index("What we would show them")) for title in titles]
    assert places == sorted(places)


def test_a_card_says_which_items_of_the_past_speak_for_it(client: FlaskClient):
    items = client.get("/v1/shop/recommendations?user_id=u0000").json["items"]
    speaks = [item for item in items if item["because"]]
    assert speaks
    shown = " ".join(page(client, catalog="shop", user_id="u0000").texts)
    for item in speaks:
        assert f"because they took {' '.join(item['because'])}" in " ".join(shown.split())


def test_batch_age_and_model_are_visible_and_the_report_and_the_json_are_linked(client: FlaskClient):
    for query in ({"user_id": "u0001"}, {"user_id": "nobody"}, {"item_id": "item5"}, {}):
        shown = page(client, catalog="shop", **query)
        assert shown.has("20240101T000000Z-1", "version 1", "1 Jan 2024, 00:00 UTC", "days ago")
        links = [attrs.get("href") or "" for tag, attrs in shown.elements if tag == "a"]
        assert "/reports/shop/20240101T000000Z-1" in links
        json_link = next(link for link in links if link.startswith("/v1/"))
        assert client.get(json_link).status_code == 200


def test_an_unknown_customer_is_told_to_be_unknown_and_shown_what_is_popular(client: FlaskClient, batch: Batch):
    shown = page(client, catalog="shop", user_id="u00")
    assert shown.has("We do not know this customer", "20 popular")
    assert "Bought lately" not in shown.texts
    titles = [batch.items[item][0] or item for item in batch.popular["all"][0][:20]]
    assert shown.has(*titles)
    assert shown.has("Customers that begin with this", "u0000", "u0007")


def test_a_customer_without_history_is_known_all_the_same(client: FlaskClient, batch: Batch):
    assert "u0007" not in batch.history
    shown = page(client, catalog="shop", user_id="u0007")
    assert shown.has("Bought lately", "Nothing in the period this batch looked at")
    assert "We do not know this customer" not in " ".join(shown.texts)


def test_an_item_leads_to_similar_ones_and_back_to_the_customer(client: FlaskClient, batch: Batch):
    shown = page(client, catalog="shop", item_id="item5", user_id="u0001")
    assert shown.has("TITLE OF 5", "kind 2", "bought by 9 customers", "Similar items", "Customer u0001")
    assert shown.has("Bought together")
    assert len(shown.with_class("a", "title")) == 40
    assert page(client, catalog="shop", item_id="item299").has("Too new to know what resembles it")


def test_a_library_is_told_what_was_borrowed(world: World, client: FlaskClient):
    world.sql("update batch_records set verb = 'borrowed'", catalog="shop")
    try:
        of_user, of_item = page(client, catalog="shop", user_id="u0000"), page(client, catalog="shop", item_id="item5")
        of_nobody, popular = page(client, catalog="shop", user_id="nobody"), page(client, catalog="shop")
        suggested = Outline(client.get("/customers?catalog=shop&user_id=u0001").text)
    finally:
        world.sql("update batch_records set verb = default", catalog="shop")
    assert of_user.has("Borrowed lately", "because they borrowed", "Loans before")
    assert of_item.has("borrowed by 9 customers", "Borrowed together")
    assert of_nobody.has("until their first loan")
    assert suggested.has("last borrowed")
    titles = {attrs["title"] for attrs in popular.with_class("span", "badge")}
    assert titles == {"popular: what most customers borrow at the moment"}
    for shown in (of_user, of_item, of_nobody, popular, suggested):
        assert not re.search(r"\b(buys?|bought|took|purchases?)\b", " ".join(shown.texts), re.IGNORECASE)


def test_every_odd_id_has_its_page_and_every_link_on_it_leads_somewhere(client: FlaskClient):
    for one in ODD_IDS:
        shown = page(client, catalog="shop", user_id=one)
        assert shown.has("What we would show them")
        assert "We do not know this customer" not in " ".join(shown.texts), one
        page(client, catalog="shop", item_id=one)
    for tag, attrs in page(client, catalog="shop", user_id="%00").elements:
        if tag == "a" and (attrs.get("href") or "").startswith("/"):
            assert client.get(attrs["href"]).status_code == 200, attrs["href"]


def test_a_title_or_an_id_that_looks_like_html_is_text(client: FlaskClient):
    popular = page(client, catalog="shop")
    assert INERT_TITLE in popular.texts
    for shown in (popular, page(client, catalog="shop", user_id="<script>alert(1)</script>")):
        for tag, attrs in shown.elements:
            assert not any(name.startswith("on") or name == "style" for name in attrs), (tag, attrs)
            assert not (attrs.get("src") or "").startswith("x")
            if tag == "script":
                assert (attrs.get("src") or "").startswith("/static/")


def test_nothing_on_the_page_comes_from_another_host(client: FlaskClient):
    for query in ({}, {"catalog": "shop"}, {"catalog": "shop", "user_id": "u0001"}):
        for tag, attrs in page(client, **query).elements:
            if tag in ("script", "img", "link"):
                address = attrs.get("src") or attrs.get("href") or ""
                assert address.startswith("/static/")
                assert client.get(address).status_code == 200


def test_surprise_me_leads_to_some_known_customer(client: FlaskClient):
    met = set()
    for _ in range(40):
        response = client.get("/?catalog=shop&user_id=&surprise=1")
        assert response.status_code == 303
        assert "We do not know this customer" not in client.get(response.location).text
        met.add(response.location)
    assert len(met) > 20


def test_suggestions_are_the_first_customers_that_begin_with_what_was_typed(client: FlaskClient):
    fragment = Outline(client.get("/customers?catalog=shop&user_id=u001").text)
    assert [text for text in fragment.texts if text.startswith("u")] == [f"u001{k}" for k in range(8)]
    assert client.get("/customers?catalog=shop&user_id=zzz").text.strip() == ""
    odd = Outline(client.get("/customers", query_string={"catalog": "shop", "user_id": "<scr"}).text)
    assert odd.texts[0] == "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("of title 117", {"item117"}),
        ("99 tItLe", {"item99", "item199", "item299"}),
        ("<IMG", {"item1"}),
        ("item2", {"item2"}),
        ("TITLE_OF 117", set()),
        ("100%", set()),
    ],
)
def test_items_are_found_by_words_of_their_title_or_by_their_id(client: FlaskClient, text: str, items: set[str]):
    shown = page(client, catalog="shop", title=text)
    links = [attrs.get("href") or "" for tag, attrs in shown.elements if tag == "a"]
    assert sorted(link.partition("item_id=")[2] for link in links if "item_id=" in link) == sorted(items)
    assert shown.has("No item has this id") == (not items)


def test_several_catalogs_are_offered_and_one_alone_is_shown_at_once(world: World, client: FlaskClient, tmp_path):
    shown = page(client)
    assert shown.has("shop", "Tea & <cake>, a shop for tests", "empty", "Nothing published yet")

    alone = start_world(tmp_path)
    try:
        assert page(alone.client()).has("No catalog yet", "make demo")
        alone.make_catalog("only")
        assert page(alone.client()).has("Nothing is published yet", "recjobs night --catalog only")
        alone.publish("only", shop_batch())
        assert page(alone.client()).has("What would we show", "Popular at the moment")
    finally:
        alone.cluster.stop()


def test_the_catalogs_description_is_on_its_pages(client: FlaskClient):
    assert page(client, catalog="shop", user_id="u0001").has("Tea & <cake>, a shop for tests")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"catalog": "nowhere"}, 404),
        ({"catalog": "shop", "item_id": "nothing"}, 404),
        ({"catalog": "shop", "user_id": "x" * 257}, 400),
        ({"catalog": "shop", "user_id": "a\0"}, 400),
        ({"catalog": "shop", "colour": "red"}, 400),
    ],
)
def test_what_cannot_be_shown_is_a_page_that_says_so(client: FlaskClient, query: dict[str, str], status: int):
    assert page(client, status, **query).has("To the start")


def test_a_report_is_served_as_written_and_may_run_nothing(client: FlaskClient):
    response = client.get("/reports/shop/20240101T000000Z-1")
    assert response.status_code == 200
    assert "<h1>A night</h1>" in response.text
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "style-src 'unsafe-inline'" in policy
    assert "img-src data:" in policy
    assert client.get("/reports/shop/20240102T000000Z-1").status_code == 404
    assert client.get("/reports/nowhere/20240101T000000Z-1").status_code == 404
