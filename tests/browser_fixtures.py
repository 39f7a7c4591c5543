"""A Chromium, the web app as it runs in production, and a way to open its pages, as fixtures for browser tests."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.webapp_credentials import OPERATORS
from tests.webapp_world import World, free_port
from webapp.settings import ROOT

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
        "WEBAPP_OPERATORS": OPERATORS,
        "RECJOBS_EDITOR_URL": world.url("recjobs_editor"),
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
