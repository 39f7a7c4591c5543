"""Whatever is sent, the answer is a list or one of the errors in the one shape; and nobody's id reaches a log."""

import json
import logging
from urllib.parse import quote

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.webapp_credentials import OPERATORS, sign_in
from tests.webapp_world import ODD_IDS, World
from webapp.api import request_log

pytest_plugins = ["tests.webapp_fixtures"]

LONG = "x" * 257


def assert_refused(response: TestResponse, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.content_type == "application/json"
    assert response.json == {"error": {"code": code, "message": response.json["error"]["message"]}}


@pytest.mark.parametrize("path", ["/v1/shop/recommendations?user_id=", "/v1/shop/similar?item_id="])
@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", "missing_parameter"),
        ("a%00b", "bad_id"),
        (LONG, "bad_id"),
        (quote("é" * 129), "bad_id"),
        ("%ff", "bad_encoding"),
        ("%ed%a0%80", "bad_encoding"),
        ("\xff", "bad_encoding"),
        ("u1&n=0", "bad_n"),
        ("u1&n=-1", "bad_n"),
        ("u1&n=", "bad_n"),
        ("u1&n=1.5", "bad_n"),
        ("u1&n=1e3", "bad_n"),
        ("u1&n=%D9%A1", "bad_n"),
        ("u1&n=99999999999999999999", "bad_n"),
        ("u1&n=5&n=6", "repeated_parameter"),
        ("u1&user_id=u2&item_id=u2", "repeated_parameter|unknown_parameter"),
        ("u1&limit=5", "unknown_parameter"),
        ("u1&%ff=1", "bad_encoding"),
        ("u1&=1", "unknown_parameter"),
    ],
)
def test_a_query_that_makes_no_sense_is_400(client: FlaskClient, path: str, given: str, code: str):
    response = client.get(path, environ_overrides={"QUERY_STRING": path.partition("?")[2] + given})
    assert response.status_code == 400, response.text
    assert response.json["error"]["code"] in code.split("|")


def test_an_id_that_cannot_be_one_is_400_in_the_path_form_too(client: FlaskClient):
    for path in ("/v1/shop/users/{}/recommendations", "/v1/shop/items/{}/similar"):
        for given, code in [("\xff", "bad_encoding"), ("a\0", "bad_id"), (LONG, "bad_id")]:
            # As the application server passes it on: decoded, in latin-1.
            assert_refused(client.get("/", environ_overrides={"PATH_INFO": path.format(given)}), 400, code)


def test_an_id_with_a_slash_has_no_path_form(client: FlaskClient):
    assert_refused(client.get("/v1/shop/users/a/b/recommendations"), 404, "not_found")
    assert_refused(client.get("/v1/shop/users//recommendations"), 404, "not_found")


def test_parameters_are_refused_where_there_are_none(client: FlaskClient):
    for path in (
        "/healthz", "/readyz", "/info", "/openapi.json", "/v1", "/v1/shop/users/u0001/recommendations",
        "/v1/shop/popular", "/v1/shop/categories", "/v1/shop/segments", "/v1/shop/batches",
        "/v1/shop/batches/20240101T000000Z-1",
    ):  # fmt: skip
        assert_refused(client.get(f"{path}?user_id=u0001"), 400, "unknown_parameter")


def test_an_escaped_parameter_name_is_the_same_parameter(client: FlaskClient):
    plain = client.get("/v1/shop/recommendations?user_id=u0001").json
    assert client.get("/v1/shop/recommendations?user%5Fid=u0001").json["items"] == plain["items"]


@pytest.mark.parametrize("path", ["/v1/", "/v1/shop", "/v1/shop/recommendations/", "/v1//popular", "/healthz/x"])
def test_an_address_that_is_none_is_404(client: FlaskClient, path: str):
    response = client.get(path)
    assert_refused(response, 404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_a_wrong_method_is_405_and_names_the_right_ones(client: FlaskClient, method: str):
    response = client.open("/v1/shop/recommendations?user_id=u0001", method=method)
    assert_refused(response, 405, "method_not_allowed")
    assert "GET" in response.headers["Allow"]


def test_a_defect_of_ours_is_500_without_a_trace_of_it(world: World, caplog: pytest.LogCaptureFixture):
    client = world.client()
    app: Flask = client.application

    def broken(catalog: str) -> str:
        raise ValueError(f"{catalog}: {request.full_path}")

    app.view_functions["similar.by_query"] = broken
    with caplog.at_level(logging.DEBUG):
        response = client.get("/v1/shop/similar?item_id=u0001")
    assert_refused(response, 500, "internal_error")
    assert "Traceback" not in response.text
    assert "ValueError" in caplog.text
    assert "broken" in caplog.text
    assert "u0001" not in caplog.text


def test_the_log_names_the_route_and_never_the_user(world: World, capfd: pytest.CaptureFixture):
    client = world.client(request_log=True)
    for user_id in ["u0001", "nobody", *ODD_IDS[:6]]:
        client.get("/v1/shop/recommendations", query_string={"user_id": user_id})
    client.get("/v1/shop/users/u0001/recommendations")
    client.get("/?catalog=shop&user_id=u0001")
    client.get("/v1/shop/users/u0001")

    request_log.flush()
    written = capfd.readouterr().err
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    assert len(lines) == 11
    assert (lines[0]["route"], lines[0]["status"]) == ("/v1/<catalog>/recommendations", 200)
    assert lines[-1]["route"] is None
    assert not any(word in written for word in ("u0001", "nobody", "NA"))


def test_every_response_carries_the_security_headers(client: FlaskClient):
    for path in ("/", "/?catalog=shop", "/v1/shop/popular", "/healthz", "/nothing", "/v1/x", "/static/page.css"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"


def test_no_answer_about_a_user_may_be_kept_by_a_cache_in_between(client: FlaskClient):
    assert client.get("/v1/shop/recommendations?user_id=u0001").headers["Cache-Control"] == "private, no-cache"


def test_no_page_is_kept_by_the_browser_for_whoever_sits_there_next(world: World):
    client = world.client(operators=OPERATORS, editor_url=world.url("recjobs_editor"))
    assert sign_in(client) == 303
    get = [
        rule.rule.replace("<catalog>", "shop").replace("<batch_id>", "20240101T000000Z-1")
        for rule in client.application.url_map.iter_rules()
        if "GET" in rule.methods and not rule.rule.startswith(("/v1/", "/static/"))
    ]
    assert {"/", "/customers", "/rules", "/runs", "/changes", "/reports/shop/20240101T000000Z-1"} <= set(get)
    queries = ["?catalog=shop&user_id=u0001", "?catalog=shop&item_id=item5", "?catalog=shop", "?nonsense=1"]
    for address in [*(path + query for path in get for query in queries), "/nowhere", "/v1/shop/trace?user_id=u0001"]:
        response = client.get(address)
        assert response.headers["Cache-Control"] == "no-store", (address, response.status_code)
    for path in ("/rules", "/runs/roll-back", "/sign-in", "/sign-out"):
        assert client.post(path, data={"catalog": "shop"}).headers["Cache-Control"] == "no-store"
    assert client.get("/static/page.css").headers["Cache-Control"] == "no-cache"
