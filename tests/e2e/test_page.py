"""The page in a real browser from the real server: the main path and the unknown customer, with script and without."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.webapp_world import INERT_TITLE, Batch, World, free_port
from webapp.settings import ROOT

pytest_plugins = ["tests.webapp_fixtures"]

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--headless=new",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of this machine; nothing is downloaded."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("no Chromium on this machine, and CI=true: install one (Debian: apt-get install chromium)")
        pytest.skip("no Chromium on this machine: install one (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    """The server as it runs in production, with time enough for a busy machine."""
    port = free_port()
    environ = os.environ | {
        "RECJOBS_READER_URL": world.url("recjobs_reader"),
        "WEBAPP_PORT": str(port),
        "WEBAPP_STATEMENT_TIMEOUT_MS": "4000",
        "WEBAPP_REQUEST_TIMEOUT_MS": "5000",
        "WEBAPP_PAGE_TIMEOUT_MS": "5000",
        "WEBAPP_REQUEST_LOG": "false",
    }
    server = subprocess.Popen([sys.executable, "-m", "webapp"], cwd=ROOT, env=environ)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def _wait_until_it_answers(address: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=5).close()
            return
        except OSError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open the page in a context of its own. What the browser complains about, such as the policy, fails the test."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def visit(path: str = "/", **context: object) -> Page:
        contexts.append(browser.new_context(base_url=address, **context))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda r: None if r.url.startswith(address) else complaints.append(f"asked for {r.url}"))
        page.goto(path)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


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
    similar = batch.similar[batch.users["u0002"][0][3]][0][:20]
    assert titles_of(page) == [batch.items[item][0] or item for item in similar]
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
def test_the_page_fits_phones_and_wide_screens_in_light_and_dark(visit, width: int, scheme: str):
    page = visit("/", viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path in (
        "/",
        "/?catalog=shop",
        "/?catalog=shop&user_id=u0001",
        "/?catalog=shop&item_id=1e5",
        "/?catalog=empty",
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
