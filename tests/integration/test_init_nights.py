"""From exports as people have them to served lists, by three commands and without an editor, for ten shapes.

What was planted is seen by people: who has all of their taste but one item finds that item on top of their list.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.commands import ROOT, Command, Done, environment_of
from tests.exports import N_DEVOTED, SHAPES, Shape, left_out, title_of
from tests.webapp_world import free_port
from tests.worlds import Postgres

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="ten first nights with their searches: `make soak`"),
]
MOST_SECONDS = 600
COMMANDS = ("init", "check", "night")


@pytest.fixture(scope="module")
def webapp(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one web app, for all catalogs."""
    folder, port = tmp_path_factory.mktemp("webapp"), free_port()
    settings = {
        "RECJOBS_READER_URL": postgres.settings["RECJOBS_READER_URL"],
        "RECJOBS_STATE": str(folder),
        "WEBAPP_PORT": str(port),
        "WEBAPP_STATEMENT_TIMEOUT_MS": "4000",
        "WEBAPP_REQUEST_TIMEOUT_MS": "5000",
        "WEBAPP_PAGE_TIMEOUT_MS": "5000",
    }
    with (folder / "webapp.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "webapp"], cwd=ROOT, env=environment_of(settings), stdout=log, stderr=log
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def answer(address: str, path: str, **query: str | int) -> requests.Response:
    """The answer once there is one: a web app that has just started, or a catalog that it does not know yet, are
    asked again."""
    give_up = time.monotonic() + 60
    while True:
        try:
            response = requests.get(f"{address}{path}", params=query, timeout=30)
            if response.status_code not in (404, 503) or time.monotonic() > give_up:
                return response
        except requests.ConnectionError:
            assert time.monotonic() < give_up, "the web app does not answer"
        time.sleep(0.2)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_an_export_becomes_lists_without_editing(
    shape: Shape, tmp_path: Path, postgres: Postgres, mlflow_uri: str, webapp: str, figure: Callable[[str], None]
) -> None:
    (tmp_path / "data").mkdir()
    shape.write(tmp_path / "data")
    files = sorted(str(path) for pattern in shape.files for path in (tmp_path / "data").glob(pattern))
    settings = {
        "RECJOBS_STATE": str(tmp_path / "state"),
        "RECJOBS_CATALOGS": str(tmp_path / "catalogs"),
        "RECJOBS_DATA": str(tmp_path / "data"),
        "RECJOBS_THREADS": "1",
        "MLFLOW_TRACKING_URI": mlflow_uri,
        **postgres.settings,
    }
    began, commands = time.monotonic(), list[str]()

    def recjobs(verb: str, *arguments: str) -> Done:
        commands.append(verb)
        done = Command((verb, *arguments), settings).wait(MOST_SECONDS)
        assert done.code == 0, f"{' '.join(commands)}: {done.out}{done.err}"
        return done

    drafted = recjobs("init", *files, "--name", shape.name)
    file = tmp_path / "catalogs" / f"{shape.name}.yaml"
    written = file.read_text()
    checked = recjobs("check", "--catalog", shape.name)
    night = recjobs("night", "--catalog", shape.name, "--json")
    assert night.json["steps"]["publish"]["moved"], night.json
    lists = {
        user: answer(webapp, f"/v1/{shape.name}/recommendations", user_id=shape.user(user), n=10).json()["items"]
        for user in range(N_DEVOTED)
    }
    seconds = time.monotonic() - began
    notes = f"{written}\n{drafted.out}\n{checked.out}\n{night.err}"

    on_top = [lists[user][0]["item_id"] == shape.item(left_out(user)) for user in lists]
    figure(
        f"{shape.name:14} {len(commands)} commands {seconds:5.1f} s, {len(files)} files, "
        f"{night.json['steps']['validate']['accepted']} rows, {sum(on_top)} of {len(on_top)} planted items on top, "
        f"{night.json['steps']['gate']['verdict']}"
    )
    assert tuple(commands) == COMMANDS
    assert file.read_text() == written
    assert seconds < MOST_SECONDS
    assert sum(on_top) >= N_DEVOTED - 1, notes
    for user, items in lists.items():
        assert shape.item(left_out(user)) in [item["item_id"] for item in items[:3]], notes
        assert len({item["item_id"] for item in items}) == 10
    title = lists[0][0]["title"]
    assert title_of(left_out(0)) in title if shape.has_titles else title is None
    page = answer(webapp, "/", catalog=shape.name, user_id=shape.user(0))
    assert (page.status_code, shape.word.capitalize() + " lately" in page.text) == (200, True)
    guests = answer(webapp, f"/v1/{shape.name}/recommendations", user_id="nobody at all", n=10).json()
    assert {item["source"] for item in guests["items"]} == {"popular"}
