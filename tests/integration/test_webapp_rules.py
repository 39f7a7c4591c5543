"""The page of rules and the way back, with a credential and without; what they change is seen in the next answer."""

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.integration.test_webapp_page import Outline
from tests.webapp_credentials import OPERATORS, SECRET, bearer, sign_in
from tests.webapp_world import FIRST_NIGHT, INERT_TITLE, SECOND_NIGHT, World, publish_two_nights

pytest_plugins = ["tests.webapp_fixtures"]


@pytest.fixture(scope="module", autouse=True)
def edited(world: World) -> str:
    """A catalog of its own, to be changed."""
    world.make_catalog("edited")
    publish_two_nights(world, "edited")
    return "edited"


@pytest.fixture
def alice(world: World) -> Iterator[FlaskClient]:
    """An operator who is signed in; afterwards there are no rules, and the second night is live."""
    client = world.client(operators=OPERATORS, editor_url=world.url("recjobs_editor"))
    assert sign_in(client) == 303
    yield client
    world.sql("select remove_rule(rule_id, 'tests') from rules", catalog="edited")
    world.sql("set role recjobs_owner; delete from rule_records", catalog="edited")
    again = "select publish_batch(%s, null, true, 'again')"
    world.sql(again, SECOND_NIGHT, role="recjobs_publisher", catalog="edited")


def send(client: FlaskClient, path: str = "/rules", **fields: object) -> TestResponse:
    """Send a form of the page."""
    token = re.search(r'name="token" value="([^"]+)"', client.get("/").text)[1]
    return client.post(path, data={"token": token, "catalog": "edited", **fields})


def text_of(html: str) -> str:
    return " ".join(" ".join(Outline(html).texts).split())


def listed(client: FlaskClient, user_id: str = "anna") -> list[str]:
    """What the next answer of the API has."""
    answer = client.get("/v1/edited/recommendations", query_string={"user_id": user_id, "n": 20}).json
    return [item["item_id"] for item in answer["items"]]


def test_a_rule_is_added_seen_in_the_next_answer_undone_and_put_back(alice: FlaskClient):
    assert listed(alice)[0] == "i1"
    added = send(alice, do="add", kind="pin", item_id="i20", place="1", note="the window")
    assert (added.status_code, added.location) == (303, "/rules?catalog=edited")
    assert listed(alice)[:2] == ["i20", "i1"]
    page = alice.get("/rules?catalog=edited").text
    assert "Pin Thing 20 at place 1 In force the window alice," in text_of(page)
    rule_id = re.search(r'name="rule_id" value="(\d+)"', page)[1]

    assert send(alice, "/rules/undo", rule_id=rule_id).status_code == 303
    assert listed(alice)[0] == "i1"
    assert "Undone Pin Thing 20 at place 1 Undone by alice," in text_of(alice.get("/rules?catalog=edited").text)
    assert send(alice, "/rules/restore", rule_id=rule_id).status_code == 303
    assert listed(alice)[0] == "i20"


def test_a_rule_begins_at_a_card_with_its_item_and_place(alice: FlaskClient, world: World):
    for address in ("/?catalog=edited&user_id=anna", "/?catalog=edited&title=thing+30"):
        links = [attrs["href"] or "" for tag, attrs in Outline(alice.get(address).text).elements if tag == "a"]
        block, pin = (one for one in links if one.startswith("/rules?") and "item_id=i30" in one)
        form = alice.get(block).text
        assert '<option value="block" selected>' in form
        assert 'name="item_id" type="text" value="i30"' in form
        form = alice.get(pin).text
        assert '<option value="pin" selected>' in form
        assert ('name="place" type="number" value="3"' in form) == ("user_id" in address)
        assert "item_id=i30&amp;kind=block" not in world.client().get(address).text
    assert "Current rules None" in text_of(form)


def test_trying_a_rule_says_what_it_would_do_and_changes_nothing(alice: FlaskClient):
    tried = send(alice, do="try", kind="block", category="Tea")
    assert tried.status_code == 200
    text = text_of(tried.text)
    assert "It would touch 2 of 3 lists. 0 would be shorter" in text
    assert "Among the first ten more often Thing 9 1 → 3" in text
    assert "Among the first ten less often Thing 30 2 → 0" in text
    assert 'value="Tea"' in tried.text
    assert "None: the lists are shown as the night made them" in text
    assert "i30" in listed(alice)


def test_fields_that_do_not_count_for_a_kind_are_left_out(alice: FlaskClient):
    given = {"item_id": "i4", "category": "Tea", "place": "3", "factor": "2", "at_most": "0"}
    assert send(alice, do="add", kind="cap", **given).status_code == 303
    assert "i30" not in listed(alice)
    assert "i4" in listed(alice)
    assert "At most 0 of the category Tea" in text_of(alice.get("/rules?catalog=edited").text)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "block"}, "any other rule an item_id or a category"),
        ({"kind": "block", "item_id": "i1", "category": "Tea"}, "an item_id or a category"),
        ({"kind": "pin", "item_id": "i1", "place": "first"}, "place must be a number, not first"),
        ({"kind": "pin", "item_id": "i1", "place": "0"}, "place must be 1 to 1000"),
        ({"kind": "block", "item_id": "i1", "ends_at": "soon"}, "ends at must be a date and a time"),
        ({"kind": "block", "item_id": "i1", "starts_at": "2024-02-01T00:00", "ends_at": "2024-01-01T00:00"}, "after"),
        ({"kind": "delete"}, "kind must be one of"),
        ({}, "kind must be one of"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_words_and_the_form_keeps_what_was_filled_in(alice, fields, words):
    for do in ("add", "try"):
        refused = send(alice, do=do, **fields)
        assert refused.status_code == 400
        assert words in text_of(refused.text)
        assert all(f'value="{value}"' in refused.text for name, value in fields.items() if name != "kind")
    assert "Current rules None" in text_of(alice.get("/rules?catalog=edited").text)


def test_a_rule_on_an_unknown_item_is_refused_with_the_nearest_and_may_be_allowed(alice: FlaskClient):
    refused = send(alice, do="add", kind="block", item_id="I20 ", category="")
    assert refused.status_code == 400
    assert 'no item "I20" in the live batch; the nearest: "i20"' in text_of(refused.text)
    assert 'name="allow_unknown"' in refused.text
    assert send(alice, do="add", kind="block", category="tea").status_code == 400
    assert send(alice, do="add", kind="block", item_id="I20", allow_unknown="yes").status_code == 303
    assert "Block I20 In force" in text_of(alice.get("/rules?catalog=edited").text)


def test_without_a_credential_rules_are_neither_shown_nor_changed(world: World, client: FlaskClient):
    outside = world.client(operators=OPERATORS, editor_url=world.url("recjobs_editor"))
    asked = outside.get("/rules?catalog=edited")
    assert (asked.status_code, asked.location) == (303, "/sign-in?back=/rules?catalog%3Dedited")
    rule = {"catalog": "edited", "do": "add", "kind": "block", "item_id": "i1"}
    for path in ("/rules", "/rules/undo", "/rules/restore", "/runs/roll-back"):
        assert outside.post(path, data=rule).status_code == 401, path
        assert client.post(path, data=rule).status_code == 403, path
    signed_in = world.client(operators=OPERATORS, editor_url=world.url("recjobs_editor"))
    sign_in(signed_in)
    assert signed_in.post("/rules", data=rule).status_code == 403  # not from our form
    assert world.sql("select count(*) from rules", catalog="edited") == [(0,)]
    assert "Roll back" not in outside.get("/runs?catalog=edited").text
    assert "Sign in to roll back" in outside.get("/runs?catalog=edited").text


def test_without_a_way_to_change_anything_the_page_says_so(world: World):
    client = world.client(operators=OPERATORS)
    sign_in(client)
    page = client.get("/rules?catalog=edited").text
    assert "RECJOBS_EDITOR_URL is not set" in text_of(page)
    assert 'action="/rules"' not in page
    assert "Roll back" not in client.get("/runs?catalog=edited").text
    assert send(client, do="add", kind="block", item_id="i1").status_code == 403


def test_rolling_back_needs_a_reason_and_is_written_down_with_who_and_why(alice: FlaskClient):
    for fields in ({"why": "", "sure": "yes"}, {"why": "bad prices"}):
        refused = send(alice, "/runs/roll-back", batch_id=FIRST_NIGHT, **fields)
        assert (refused.status_code, "Say why" in refused.text) == (400, True)
        assert listed(alice)[:3] == ["i1", "i0", "i30"]
    page = alice.get("/runs?catalog=edited").text
    assert re.findall(r'<option value="([^"]+)"', page) == [FIRST_NIGHT]

    done = send(alice, "/runs/roll-back", batch_id=FIRST_NIGHT, why="bad prices", sure="yes")
    assert (done.status_code, done.location) == (303, "/runs?catalog=edited")
    assert listed(alice)[:3] == ["i0", "i1", "i2"]
    text = text_of(alice.get("/runs?catalog=edited").text)
    assert f"Rolled back to {FIRST_NIGHT}" in text
    assert "recjobs_editor: bad prices (alice)" in text
    assert f"beside those of {SECOND_NIGHT} , rolled back on" in text_of(alice.get("/changes?catalog=edited").text)
    gone = send(alice, "/runs/roll-back", batch_id="20230101T000000Z-1", why="x", sure="yes")
    assert gone.status_code == 400
    assert "not among the published batches" in gone.text


def test_rules_that_place_or_take_out_items_are_no_change_of_the_batch(alice: FlaskClient):
    assert send(alice, do="add", kind="pin", item_id="i20", place="1").status_code == 303
    assert send(alice, do="add", kind="block", item_id="i5").status_code == 303
    text = text_of(alice.get("/?catalog=edited&user_id=anna").text)
    changed = text[text.index("What changed since the last batch") :]
    assert "Entered 1 Thing 30 new 4" in changed
    assert "Thing 20" not in changed
    assert "Thing 5 " not in changed
    assert "1 pinned" in text


def test_an_items_page_leads_an_operator_to_a_rule_about_it(alice: FlaskClient, client: FlaskClient):
    page = alice.get("/", query_string={"catalog": "edited", "item_id": "i1"}).text
    link = re.search(r'href="(/rules[^"]+item_id[^"]+)"', page)[1].replace("&amp;", "&")
    assert 'id="item_id" name="item_id" type="text" value="i1"' in alice.get(link).text
    assert "/rules" not in client.get("/", query_string={"catalog": "edited", "item_id": "i1"}).text


def test_titles_notes_and_categories_that_look_like_html_stay_text(alice: FlaskClient):
    note = "<script>alert(1)</script>"
    assert send(alice, do="add", kind="block", item_id="i1", note=note).status_code == 303
    assert send(alice, do="add", kind="block", category=note, allow_unknown="yes").status_code == 303
    page = alice.get("/rules?catalog=edited").text
    assert INERT_TITLE in " ".join(Outline(page).texts)
    assert note not in page
    assert "<img src=x" not in page
    assert alice.get("/rules?catalog=edited", headers=bearer(SECRET)).status_code == 200
