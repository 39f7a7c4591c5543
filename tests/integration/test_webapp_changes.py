"""The pages about what changed and about the nights, as the server renders them; the world is known by eye."""

import re

import pytest
from flask.testing import FlaskClient

from tests.integration.test_webapp_page import Outline
from tests.webapp_world import FIRST_NIGHT, INERT_TITLE, RUNNING_NIGHT, SECOND_NIGHT, World, publish_two_nights
from webapp.pages import plots
from webapp.pages.changes import compare
from webapp.pages.runs import outcome

pytest_plugins = ["tests.webapp_fixtures"]
pytestmark = pytest.mark.usefixtures("nights")


def shown(client: FlaskClient, path: str, **query: str) -> str:
    """The texts of a page, one after the other."""
    response = client.get(path, query_string=query)
    assert response.status_code == 200, response.text
    return " ".join(" ".join(Outline(response.text).texts).split())


def test_a_customers_page_says_what_entered_left_and_moved(client: FlaskClient):
    text = shown(client, "/", catalog="nights", user_id="anna")
    changed = text[text.index("What changed since the last batch") :]
    assert f"compared with {FIRST_NIGHT}" in changed
    assert "Entered 1 Thing 30 new 3" in changed
    assert "Left 1 Thing 19 20 → 21" in changed
    assert f"Moved 19 {INERT_TITLE} ▲ 2 → 1 Thing 0 ▼ 1 → 2 Thing 2 ▼ 3 → 4" in changed


def test_a_customer_who_was_not_known_before_or_whose_list_is_the_same_is_told_so(client: FlaskClient):
    assert "the whole list is new" in shown(client, "/", catalog="nights", user_id="bert")
    assert "the same items at the same ranks" in shown(client, "/", catalog="nights", user_id="carl")
    for query in ({"user_id": "nobody"}, {"user_id": "anna", "category": "Tea"}):
        assert "What changed since" not in shown(client, "/", catalog="nights", **query)
    assert "What changed since" not in shown(client, "/", catalog="shop", user_id="u0001")


def test_the_first_batch_has_nothing_to_be_compared_with(client: FlaskClient):
    assert "no earlier batch" in shown(client, "/changes", catalog="shop")
    assert "Nothing is published yet" in shown(client, "/changes", catalog="empty")


def test_the_catalogues_page_has_gains_and_losses_of_items_and_categories(client: FlaskClient):
    text = shown(client, "/changes", catalog="nights")
    gained, lost = text.index("Shown to more"), text.index("Shown to fewer")
    # i30 is among the first ten of two lists of three, and was in none of two; i9 left two of three
    assert "Thing 30 Tea 0.0 666.7 +666.7" in text[gained:lost]
    assert "Thing 9 Coffee 1000.0 333.3 −666.7" in text[lost:]
    assert "Tea 0.0% 6.7% +6.7" in text
    assert "Coffee 100.0% 93.3% −6.7" in text


def test_a_batch_that_was_not_counted_is_told_so(world: World, client: FlaskClient):
    keep = "create table kept as select * from exposure_records; delete from exposure_records where batch_id = %s"
    world.sql(keep, FIRST_NIGHT, catalog="nights")
    try:
        assert "made before items were counted" in shown(client, "/changes", catalog="nights")
    finally:
        back = "truncate exposure_records; insert into exposure_records select * from kept; drop table kept"
        world.sql(back, catalog="nights")


def test_only_one_category_can_be_asked_for_in_a_list_and_of_what_is_popular(client: FlaskClient):
    text = shown(client, "/", catalog="nights", user_id="anna", category="Tea")
    assert re.search(r"All Coffee 24 Tea 1 Rank 1 Thing 30", text)
    assert "Thing 4" not in text
    assert client.get("/?catalog=nights&user_id=anna&category=<b>").status_code == 404
    assert "Popular in Tea" in shown(client, "/", catalog="nights", category="Tea")
    assert "Popular with trade" in shown(client, "/", catalog="nights", segment="trade")
    assert client.get("/?catalog=nights&category=None").status_code == 404


def test_the_run_page_has_the_running_step_verdicts_findings_and_what_is_in_charge(client: FlaskClient):
    text = shown(client, "/runs", catalog="nights")
    assert f"Live is {SECOND_NIGHT} with lists for 3 customers" in text
    assert f"The running night {RUNNING_NIGHT} · Running: training" in text
    assert re.search(r"train running since (just now|\d+ minutes?) evaluate to come", text)
    assert f"{SECOND_NIGHT} before 2 Jan 2024, 00:00 UTC Live Promoted better than popular items +50.0% 10,000" in text
    assert "bad time such as <b>soon quarantined 7" in text
    assert f"item mix moved by 0.40 (more than 0.25) between {FIRST_NIGHT} and {SECOND_NIGHT}" in text
    assert f"Published {SECOND_NIGHT}, model version 2 recjobs_publisher: test" in text
    assert "No night has begun" in shown(client, "/runs", catalog="empty")


def test_the_run_page_says_why_a_night_stopped_and_why_none_began(world: World, client: FlaskClient):
    world.make_catalog("stopped")

    def publisher(statement: str, *parameters: object) -> None:
        world.sql(statement, *parameters, role="recjobs_publisher", catalog="stopped")

    night = "20240104T000000Z-1"
    for state in ("running", "refused"):
        world.note_step("stopped", night, "inspect", state)
    publisher("select note_reason(%s, 'inspect', 'coverage 0.1 is below 0.5')", night)
    publisher("select note_begin('refused', 'shop.csv: there is no such file', '2024-01-05', null, null)")
    text = shown(client, "/runs", catalog="stopped")
    assert text.count("coverage 0.1 is below 0.5") == 2, "with the steps of the last night, and among the nights"
    assert re.search(
        r"No night began at [^.]*\(as of 2024-01-05\), the input was refused: shop.csv: there is no such file", text
    )
    publisher("select note_begin('done', null, null, %s, null)", night)
    world.note_step("stopped", night, "inspect", "running")
    text = shown(client, "/runs", catalog="stopped")
    assert "No night began" not in text
    assert "coverage 0.1" not in text


def test_where_no_model_is_in_charge_nobody_is_said_to_have_a_list_of_their_own(world: World, client: FlaskClient):
    world.make_catalog("modelless")
    publish_two_nights(world, "modelless")
    world.sql("update batch_records set model_version = null", catalog="modelless")
    for path, words in (("/", "No model is in charge yet"), ("/runs", "all of popular items")):
        text = shown(client, path, catalog="modelless")
        assert words in text
        assert "recjobs tune --catalog modelless" in text
        assert "list of their own" not in text


def test_every_number_of_a_plot_is_in_the_table_below_it(client: FlaskClient):
    text = shown(client, "/runs", catalog="nights")
    assert "Night of Tonight's candidate The model in charge Popular items 1 Jan 0.1200 0.1100 0.0800" in text
    assert "Interactions 1 Jan 9,000 2 Jan 10,000" in text
    html = client.get("/runs?catalog=nights").text
    assert len(re.findall(r'<rect class="bar', html)) >= 2
    assert "style=" not in html


@pytest.mark.parametrize("path", ["/changes", "/runs"])
def test_what_cannot_be_shown_is_a_page_that_says_so(client: FlaskClient, path: str):
    for query, status in (("", 400), ("?catalog=nowhere", 404), ("?catalog=nights&x=1", 400), ("?catalog=%00", 400)):
        response = client.get(path + query)
        assert response.status_code == status, query
        assert "To the start" in response.text


def test_lists_are_compared_as_far_as_they_are_shown():
    items = [{"item_id": item, "title": None, "rank": rank} for rank, item in enumerate("bacfd", 1)]
    found = compare(items, list("abcde"), {"e": "E"}, shown=3)
    assert found["was"] == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    assert [row["item_id"] for row in found["moved"]] == ["b", "a"]
    assert (found["entered"], found["left"]) == ([], [])
    found = compare(items, list("abcde"), {"e": "E"}, shown=5)
    assert [(row["item_id"], row["was"], row["now"]) for row in found["entered"]] == [("f", None, 4)]
    assert [(row["item_id"], row["title"], row["was"], row["now"]) for row in found["left"]] == [("e", "E", 5, None)]
    found = compare([items[1], items[4], items[0]], list("abcd"), {}, shown=2)
    assert [(row["item_id"], row["was"]) for row in found["entered"]] == [("d", 4)]  # not shown before, though listed
    assert compare([], [], {}, shown=5)["left"] == []


def test_a_night_has_one_outcome():
    quiet = dict.fromkeys(("is_live", "rolled_back_at", "published_at", "input_state", "kept_batch"))
    failed, running = {"step": "inspect", "state": "failed"}, {"step": "train", "state": "running"}

    def said(*steps: dict[str, str], **facts: object) -> str:
        return outcome(quiet | facts | {"steps": list(steps)})[1]

    assert said() == "Not published"
    assert said(failed) == "Stopped: checking the lists"
    assert said(failed, running) == "Running: training"
    assert said(input_state="refused") == "Input refused"
    assert said(input_state="skipped") == "Skipped: input late"
    assert said(kept_batch="x", input_state="accepted") == "Earlier lists kept"
    assert said(published_at=1) == "Published"
    assert said(published_at=1, rolled_back_at=1) == "Rolled back"
    assert said(published_at=1, is_live=True) == "Live"


def test_a_plot_keeps_every_value_inside_and_leaves_gaps_open():
    plot = plots.lines("t", ["a", "b", "c", "d"], {("x", "x"): [0.1, None, 0.3, 0.2]})
    (series,) = plot.series
    assert len(series.dots) == 3
    assert series.path.count("M") == 2
    assert all(plot.left < x < plot.right and 0 <= y <= plot.base for x, y in series.dots)
    assert [tick.label for tick in plot.ticks] == ["0.1", "0.2", "0.3"]
    heights = [bar.height for bar in plots.bars("t", ["a", "b"], [1_000_000, 500_000], ["", "live"]).bars]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)
    assert plots.lines("t", ["a"], {("x", "x"): [None]}) is None
    assert plots.bars("t", ["a"], [0], [""]) is None
    for values in ([0.5, 0.5], [0, 0.0], [1e-9, 2e-9], [123_456_789, 1], [-3, 2]):
        assert len(plots.lines("t", ["a", "b"], {("x", "x"): values}).ticks) >= 2
