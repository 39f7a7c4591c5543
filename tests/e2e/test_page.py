"""The page in a real browser from the real server: the main path and the unknown customer, with script and without."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.webapp_credentials import SECRET
from tests.webapp_world import INERT_TITLE, RUNNING_NIGHT, Batch, World, publish_two_nights

pytest_plugins = ["tests.webapp_fixtures", "tests.browser_fixtures"]


def titles_of(page: Page) -> list[str]:
    return page.locator(".cards .title").all_inner_texts()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_the_main_path_from_the_catalogs_to_a_similar_item_and_back(visit, batch: Batch, script: bool):
    page = visit("/", java_script_enabled=script)
    page.get_by_role("main").get_by_role("link", name="shop").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("What would we show")

    page.get_by_label("Find a customer").fill("u0002")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("u0002")
    listed = [batch.items[item][0] or item for item in batch.users["u0002"][0][:20]]
    assert titles_of(page) == listed
    bought = page.get_by_role("region", name="Bought lately")
    first = batch.history["u0002"][0][0]
    expect(bought.get_by_role("link").first).to_have_text(batch.items[first][0] or first)
    left, right = bought.bounding_box(), page.get_by_role("region", name="What we would show them").bounding_box()
    assert left["x"] + left["width"] <= right["x"]
    expect(page.get_by_text("20240101T000000Z-1")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ days ago"))).to_be_visible()

    page.locator(".cards .title").nth(3).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(listed[3])
    third = batch.users["u0002"][0][3]
    shown = [*batch.similar[third][0][:20], *batch.together[third][0][:20]]
    assert titles_of(page) == [batch.items[item][0] or item for item in shown]
    page.get_by_role("link", name="Customer u0002").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("u0002")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_an_unknown_customer_sees_what_is_popular_and_is_told_so(visit, batch: Batch, script: bool):
    page = visit("/?catalog=shop", java_script_enabled=script)
    page.get_by_label("Find a customer").fill("u004")
    page.get_by_role("button", name="Show").click()

    expect(
        page.get_by_role("main").get_by_role("status").filter(has_text="We do not know this customer")
    ).to_be_visible()
    assert titles_of(page) == [batch.items[item][0] or item for item in batch.popular["all"][0][:20]]
    page.get_by_role("link", name="u0047").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("u0047")


def test_typing_narrows_and_the_keyboard_is_enough(visit):
    page = visit("/?catalog=shop")
    field = page.get_by_label("Find a customer")
    suggestions = page.locator("#suggestions")
    expect(suggestions).to_be_hidden()
    field.press_sequentially("u01")
    expect(suggestions.get_by_role("link")).to_have_count(8)
    expect(page.locator("#suggestions-status")).to_have_text("8 suggestions, arrow keys to choose")
    field.press_sequentially("23")
    expect(suggestions.get_by_role("link")).to_have_count(1)
    field.press("Backspace")
    expect(suggestions.get_by_role("link")).to_have_count(8)

    field.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(suggestions.get_by_role("link").nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("u0120")

    field.fill("nobody at all")
    expect(page.locator("#suggestions-status")).to_have_text("No customer begins with this")
    expect(suggestions).to_be_hidden()
    field.fill("u0")
    expect(suggestions).to_be_visible()
    page.keyboard.press("Escape")
    expect(suggestions).to_be_hidden()


def test_what_was_typed_before_the_script_came_is_answered_too(visit):
    page = visit("/?catalog=shop")
    held: list[Route] = []
    page.route("**/page.js*", lambda route: held.append(route))
    with page.expect_request("**/page.js*"):
        page.goto("/?catalog=shop&user_id=u0002", wait_until="commit")
    page.get_by_label("Find a customer").fill("nobody at all")
    held[0].continue_()
    expect(page.locator("#suggestions-status")).to_have_text("No customer begins with this")


def test_suggestions_that_cannot_be_fetched_are_not_called_no_customer(browser: Browser, address: str):
    page = browser.new_page(base_url=address)
    page.goto("/?catalog=shop")
    page.get_by_label("Find a customer").fill("u01")
    expect(page.locator("#suggestions").get_by_role("link")).to_have_count(8)
    page.route("**/customers?*", lambda route: route.fulfill(status=503))
    page.get_by_label("Find a customer").fill("u012")
    expect(page.locator("#suggestions-status")).to_have_text("No suggestions at the moment")
    expect(page.locator("#suggestions")).to_be_hidden()
    page.close()


def test_suggestions_that_were_closed_do_not_come_back_with_a_late_answer(visit):
    page = visit("/?catalog=shop")
    held: list[Route] = []
    page.route("**/customers?*", lambda route: held.append(route))
    with page.expect_request("**/customers?*"):
        page.get_by_label("Find a customer").fill("u01")
    page.keyboard.press("Escape")
    with page.expect_response("**/customers?*") as late:
        held[0].continue_()
    assert late.value.finished() is None
    expect(page.locator("#suggestions")).to_be_hidden()
    page.wait_for_timeout(200)
    expect(page.locator("#suggestions")).to_be_hidden()


def test_surprise_me_shows_some_customer(visit):
    page = visit("/?catalog=shop")
    page.get_by_role("button", name="Surprise me").click()
    expect(page.get_by_role("heading", name="What we would show them")).to_be_visible()
    expect(page.get_by_text("We do not know this customer")).to_have_count(0)


def test_a_title_or_id_that_looks_like_html_stays_text_in_cards_headings_and_suggestions(visit):
    page = visit("/?catalog=shop")
    expect(page.locator(".cards .title", has_text=INERT_TITLE)).to_be_visible()
    page.locator(".cards .title", has_text=INERT_TITLE).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(INERT_TITLE)
    page.get_by_label("Find a customer").fill("<script")
    page.locator("#suggestions a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("<script>alert(1)</script>")


def test_the_script_of_a_report_does_not_run(browser: Browser, address: str):
    page = browser.new_page()
    dialogs: list[str] = []
    refusals: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.on("console", lambda message: refusals.append(message.text))
    page.goto(f"{address}/reports/shop/20240101T000000Z-1")
    expect(page.get_by_role("heading")).to_have_css("color", "rgb(0, 128, 128)")
    assert dialogs == []
    assert any("script" in refusal for refusal in refusals)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_page_fits_phones_and_wide_screens_in_light_and_dark(visit, nights, width: int, scheme: str):
    page = visit("/", viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path in (
        "/",
        "/?catalog=shop",
        "/?catalog=shop&user_id=u0001",
        "/?catalog=shop&item_id=1e5",
        "/?catalog=shop&title=of",
        "/?catalog=empty",
        "/?catalog=nights&user_id=anna",
        "/changes?catalog=nights",
        "/runs?catalog=nights",
        "/sign-in",
    ):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        text, ground = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.documentElement).backgroundColor]"
        )
        assert _contrast(text, ground) >= 7
        quiet = page.evaluate("getComputedStyle(document.querySelector('footer')).color")
        assert _contrast(quiet, ground) >= 4.5


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2 between two CSS colours."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_reader_of_the_page_finds_landmarks_labels_and_the_skip_link(visit):
    page = visit("/?catalog=shop&user_id=u0001")
    for role in ("banner", "main", "contentinfo", "search"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.get_by_role("navigation", name="Catalogs")).to_have_count(1)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    assert page.locator("h1").count() == 1
    assert page.locator("[id]").evaluate_all("all => new Set(all.map(e => e.id)).size === all.length")


def sign_in(page: Page) -> None:
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Secret").fill(SECRET)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def test_what_changed_and_the_nights_can_be_reached_and_read(visit, nights):
    page = visit("/?catalog=nights&user_id=anna")
    changed = page.get_by_role("region", name="What changed since the last batch")
    expect(changed.get_by_role("region", name="Entered").get_by_role("link")).to_have_text(["Thing 30"])
    expect(changed.get_by_role("region", name="Left").get_by_role("link")).to_have_text(["Thing 19"])
    page.get_by_role("navigation", name="Only one category").get_by_role("link", name="Tea").click()
    assert titles_of(page) == ["Thing 30"]

    page.get_by_role("link", name="What changed").click()
    expect(page.get_by_role("region", name="Shown to more").get_by_role("row").nth(1)).to_contain_text("Thing 30")
    page.get_by_role("link", name="Nights", exact=True).click()
    expect(page.locator("[aria-current=step]")).to_contain_text("train")
    plot = page.get_by_role("figure", name="Interactions read and accepted")
    expect(plot.get_by_role("img")).to_be_visible()
    expect(plot.get_by_role("table")).to_be_hidden()
    plot.get_by_text("Numbers").click()
    expect(plot.get_by_role("row").nth(2)).to_have_text("2 Jan10,000")


def test_the_running_night_is_looked_at_again_until_it_ends(visit, world: World):
    world.make_catalog("running")
    publish_two_nights(world, "running")
    page = visit("/runs?catalog=running")
    steps = page.locator("#latest-night .steps")
    expect(steps.locator("[aria-current=step]")).to_contain_text("train")
    expect(page.get_by_text("less than a minute left")).to_be_visible()
    assert 0 < page.locator("#latest-night progress").evaluate("bar => bar.value") <= 1
    page.evaluate("document.body.dataset.same = 'page'")
    world.note_step("running", RUNNING_NIGHT, "train", "done")
    world.note_step("running", RUNNING_NIGHT, "evaluate", "running")
    expect(steps.locator("[aria-current=step]")).to_contain_text("evaluate", timeout=60_000)
    assert page.evaluate("document.body.dataset.same") == "page", "it was not loaded again"
    world.note_step("running", RUNNING_NIGHT, "evaluate", "failed")
    expect(page.get_by_role("heading", name="The last night")).to_be_visible(timeout=60_000)
    expect(page.locator("table.nights").get_by_text("Stopped").first).to_be_visible()
    page.wait_for_function("!document.body.dataset.same")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_rule_is_made_and_undone_by_an_operator_and_by_nobody_else(visit, nights, script: bool):
    page = visit("/?catalog=nights", java_script_enabled=script)
    page.get_by_role("link", name="Rules").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.get_by_label("Item id")).to_have_count(0)
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Rules")

    page.get_by_label("What").select_option("Pin to a place")
    expect(page.get_by_label("Category")).to_be_hidden()
    page.get_by_label("Item id").fill("i20")
    page.get_by_label("Place").fill("1")
    page.get_by_label("Why").fill("the window")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("region", name="What it would do")).to_contain_text("touch 3 of 3 lists")
    page.get_by_role("button", name="Add the rule").click()
    standing = page.get_by_role("region", name="Current rules")
    expect(standing.get_by_role("listitem")).to_contain_text("Pin Thing 20 at place 1")

    page.goto("/?catalog=nights&user_id=anna")
    assert titles_of(page)[0] == "Thing 20"
    page.goto("/rules?catalog=nights")
    standing.get_by_role("button", name="Undo").click()
    expect(standing).to_contain_text("None: the lists are shown as the night made them")
    page.goto("/?catalog=nights&user_id=anna")
    assert titles_of(page)[0] == INERT_TITLE
    page.get_by_role("button", name="Sign out").click()
    page.goto("/rules?catalog=nights")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize("width", [390, 1280])
def test_an_item_found_by_its_title_is_blocked_from_its_card(visit, nights, width: int):
    page = visit("/rules?catalog=nights", viewport={"width": width, "height": 900})
    sign_in(page)
    page.get_by_label("Find an item").fill("20 thing")
    page.get_by_role("button", name="Find").click()
    found = page.get_by_role("region", name="Items with 20 thing")
    expect(found.get_by_role("rowheader")).to_have_count(1)
    found.get_by_role("link", name="Thing 20").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thing 20")

    page.goto("/?catalog=nights&user_id=anna")
    card = page.locator(".card").filter(has_text="Thing 9")
    title, links = card.locator(".title").bounding_box(), card.locator(".rule-links").bounding_box()
    badge = card.locator(".badge").bounding_box()
    assert title["y"] + title["height"] <= links["y"] or title["x"] + title["width"] <= links["x"]
    assert badge["y"] + badge["height"] <= links["y"]
    card.get_by_role("link", name="Block i9").click()
    expect(page.get_by_label("Item id")).to_have_value("i9")
    expect(page.get_by_label("What", exact=True)).to_have_value("block")
    page.get_by_role("button", name="Add the rule").click()
    page.goto("/?catalog=nights&user_id=anna")
    assert "Thing 9" not in titles_of(page)
    page.goto("/rules?catalog=nights")
    page.get_by_role("region", name="Current rules").get_by_role("button", name="Undo").click()
    page.goto("/?catalog=nights&user_id=anna")
    assert "Thing 9" in titles_of(page)


def serious(page: Page) -> list[str]:
    """What axe finds that keeps people out, and where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_serious(visit, nights, scheme: str, width: int):
    page = visit("/rules?catalog=nights", viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = {"/sign-in": serious(page)}
    sign_in(page)
    for path in (
        "/",
        "/?catalog=shop",
        "/?catalog=nights&user_id=anna",
        "/?catalog=shop&user_id=nobody",
        "/?catalog=nights&item_id=i1",
        "/?catalog=nights&title=thing",
        "/changes?catalog=nights",
        "/runs?catalog=nights",
        "/rules?catalog=nights",
    ):
        page.goto(path)
        found[path] = serious(page)
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_axe_sees_what_is_wrong(visit, nights):
    page = visit("/?catalog=nights")
    page.evaluate("document.querySelector('.search label').remove()")
    page.evaluate("document.querySelector('.lead').className = 'chip'; document.querySelector('h1').textContent = ''")
    page.evaluate("document.querySelector('#user_id').removeAttribute('placeholder')")
    assert any(problem.startswith("label: ") for problem in serious(page))
