"""Takes README's screenshots, as `make screenshots`: of a platform of its own with two nights, by a real browser.

    page      a customer and their list        nights    what each night did
    airflow   the night, with its verdict      mlflow    the registered models and the champion

The catalog is online_retail if its files are there (RECJOBS_DATA), else sample. Look at each picture before you commit
it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import requests
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser_fixtures import CHROMIUM_FLAGS
from tests.commands import ROOT, environment_of
from tests.platforms import Platform, eventually

FOLDER = ROOT / "docs" / "screenshots"
EARLIER = {"online_retail": "2011-11-25", "sample": "2026-06-20"}
"""As of when the first night looks back; the second one takes all there is."""
SIZE = {"width": 1280, "height": 800}
MOST_BYTES = 150_000
COLOURS = (256, 128, 64)
SECONDS, PATIENCE = 300, 3600


def main() -> None:
    """Start the platform, run two nights, take the pictures, stop it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        sys.exit("no Chromium on this machine: apt-get install chromium")
    data = os.environ.get("RECJOBS_DATA", str(ROOT / "shared" / "data"))
    has_data = (Path(data) / "online_retail_II").is_dir()
    catalog = os.environ.get("CATALOG") or ("online_retail" if has_data else "sample")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # Postgres is another user where root starts it
        platform = Platform.of(Path(folder) / "state", RECJOBS_DATA=data)
        try:
            told = nights(platform, catalog)
            with sync_playwright() as playwright:
                take(playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS), platform, catalog, told)
        finally:
            platform.run("down")


def nights(platform: Platform, catalog: str) -> str:
    """Run two nights, the second by Airflow, and open MLflow; returns what `make demo` printed."""
    eventually(lambda: platform.run("up").returncode == 0, PATIENCE)  # a busy machine takes longer than it waits
    must(platform, "recjobs", "night", "--catalog", catalog, "--as-of", EARLIER[catalog])
    told = must(platform, "local", "demo", "--catalog", catalog)
    eventually(lambda: platform.run("mlflow").returncode == 0, PATIENCE)
    return told


def must(platform: Platform, *command: str) -> str:
    """Run a module of ours with the platform's settings; exits with its output where it fails."""
    print(*command, "...", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment_of(platform.settings), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def take(browser: Browser, platform: Platform, catalog: str, told: str) -> None:
    """Take the four pictures."""
    webapp, airflow, mlflow = (
        f"http://127.0.0.1:{platform.settings[port]}" for port in ("WEBAPP_PORT", "AIRFLOW_PORT", "MLFLOW_PORT")
    )
    user = re.search(r"user_id=([^&\s]+)", told)
    assert user, told
    plain = browser.new_page(viewport=SIZE)
    plain.goto(f"{webapp}/?catalog={catalog}&user_id={user[1]}", wait_until="networkidle")
    save(plain, "page")
    plain.goto(f"{webapp}/runs?catalog={catalog}", wait_until="networkidle")
    save(plain, "nights")

    name, password = "admin", platform.password()
    token = requests.post(f"{airflow}/auth/token", json={"username": name, "password": password}, timeout=30)
    signed_in = browser.new_context(viewport=SIZE)
    signed_in.add_cookies([{"name": "_token", "value": token.json()["access_token"], "url": airflow}])
    dag = f"nightly_{catalog}"
    run_id = quote(str(platform.airflow().runs(dag)[-1]["dag_run_id"]), safe="")
    page = signed_in.new_page()
    page.goto(f"{airflow}/dags/{dag}/runs/{run_id}/tasks/gate/xcom")
    page.get_by_text(re.compile("^(promoted|refused)$")).first.wait_for(timeout=SECONDS * 1000)
    save(page, "airflow")

    models = browser.new_context(viewport=SIZE, http_credentials={"username": name, "password": password})
    page = models.new_page()
    page.goto(f"{mlflow}/#/models/{catalog}")
    page.get_by_text("champion").first.wait_for(timeout=SECONDS * 1000)
    if (assistant := page.get_by_role("button", name="Close", exact=True)).count():
        assistant.first.click()  # it covers a quarter of the page
    save(page, "mlflow")


def save(page: Page, name: str) -> None:
    """Save what the page shows with few colours, so that the file is small; exits if it is not."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.png"
    page.wait_for_timeout(1500)  # what slides in
    page.screenshot(path=path)
    picture = Image.open(path).convert("RGB")
    for colours in COLOURS:
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    else:
        sys.exit(f"{path} has {path.stat().st_size:,} bytes, more than {MOST_BYTES:,}")
    print(path.relative_to(ROOT), path.stat().st_size, "bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
