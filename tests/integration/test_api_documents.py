"""Every curl command of docs/api.md and the README gets an answer, and what the page says of it is true."""

import re
import shlex
from urllib.parse import urlencode, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.commands import ROOT

pytest_plugins = ["tests.webapp_fixtures"]

PAGE = (ROOT / "docs/api.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
ASK = README[README.index("## Ask for recommendations") : README.index("## Query")]
COMMANDS = re.findall(r"^curl (?:.*\\\n)*.*$", PAGE + ASK, re.MULTILINE)
OURS = {
    "/v1/sample/": "/v1/shop/",
    "again?user_id=C1000": "again?user_id=u0001",
    "C00001": "u0000",
    "G0001": "item5",
    "G0002": "item7",
    "Kitchen": "kind 1",
}
"""What the page calls by names of the sample catalog, and what the tests' shop has."""


def run(client: FlaskClient, command: str) -> TestResponse:
    for said, ours in OURS.items():
        command = command.replace(said, ours.replace(" ", "%20") if "%" not in said else ours)
    words = iter(shlex.split(command.replace("\\\n", " "))[1:])
    address, headers, query, body = "", {}, [], None
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        elif word == "--data-urlencode":
            query.append(tuple(next(words).split("=", 1)))
        elif word not in ("-G", "-i"):
            address = word
    parts = urlsplit(address)
    assert parts.netloc == "127.0.0.1:8000"
    path = f"{parts.path}?{parts.query or urlencode(query)}"
    return client.open(path, method="GET" if body is None else "POST", data=body, headers=headers)


def test_there_are_commands_for_every_kind_of_list():
    assert len(COMMANDS) >= 13
    for name in (
        "recommendations?",
        "recommendations:batch",
        "similar",
        "together",
        "basket",
        "popular",
        "offset",
        "exclude",
        "prefer",
    ):
        assert any(name in command for command in COMMANDS), name


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_gets_an_answer(client: FlaskClient, command: str):
    response = run(client, command)
    assert response.status_code == 200, response.text
    if re.search(r"/(v1|info|categories|segments|batches)(\?|'|$)", command):
        assert any(response.json.values()), "something there is"
        return
    for answer in response.json.get("answers", [response.json]):
        assert answer["items"]
        assert {"batch_id", "model_version", "computed_at", "age_seconds"} <= answer.keys()


def test_the_page_names_every_field_of_an_item_and_every_parameter(client: FlaskClient):
    document = client.get("/openapi.json").json
    for field in document["components"]["schemas"]["Item"]["properties"]:
        assert f"`{field}`" in PAGE, field
    for path, operations in document["paths"].items():
        if path.startswith("/v1/") and "trace" not in path:
            for parameter in operations.get("get", {}).get("parameters", []):
                if parameter["in"] == "query":
                    assert re.search(rf"\b{parameter['name']}\b", PAGE), parameter["name"]


def test_the_headers_are_as_the_page_says(client: FlaskClient):
    for kind, path in (("private", "recommendations?user_id=u"), ("public", "popular"), ("public", "basket?item_id=x")):
        assert client.get(f"/v1/shop/{path}").headers["Cache-Control"] == f"{kind}, no-cache"
        assert f"`{kind}, no-cache`" in PAGE
