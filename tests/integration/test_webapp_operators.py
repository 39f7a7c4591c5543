"""Who may change something from the web app: operators who signed in or show their secret, and no way around."""

import re
from collections.abc import Iterator

import psycopg2
import pytest
from flask import Blueprint
from flask.testing import FlaskClient

from tests.webapp_credentials import (
    CAROLS,
    KEY,
    KEYS,
    OPERATORS,
    SECRET,
    bearer,
    entry,
    sign_in,
)
from tests.webapp_world import ODD_IDS, PATIENT, World, free_port
from webapp import create_app
from webapp.access.operators import operator_name, operator_required
from webapp.postgres import editor
from webapp.settings import Settings

pytest_plugins = ["tests.webapp_fixtures"]


@pytest.fixture
def operated(world: World) -> Iterator[FlaskClient]:
    """No keys, but operators, and a route that changes something, as other parts of the app have them."""
    settings = Settings(
        database_url=world.url("recjobs_reader"), editor_url=world.url("recjobs_editor"), operators=OPERATORS,
        request_log=False, request_timeout_ms=5000, statement_timeout_ms=4000, page_timeout_ms=5000,
    )  # fmt: skip
    app = create_app(settings)
    changing = Blueprint("changing", __name__)

    @changing.post("/v1/<catalog>/change")
    @changing.post("/changing/<catalog>")
    @operator_required
    def change(catalog: str) -> dict:
        return {"by": operator_name(), "row": editor.call(catalog, "who", "x")}

    app.register_blueprint(changing)
    world.sql(
        "create function shop.who(text) returns text[] language sql as $$select array[current_user::text, $1]$$;"
        "grant execute on function shop.who(text) to recjobs_editor"
    )
    try:
        yield app.test_client()
    finally:
        world.sql("drop function shop.who(text)")


def token_of(page: str) -> str:
    return re.search(r'name="token" value="([^"]+)"', page)[1]


def test_without_operators_nothing_that_changes_anything_is_reached(world: World, client: FlaskClient):
    app = client.application

    @operator_required
    def change() -> str:
        raise AssertionError

    app.add_url_rule("/v1/change", view_func=change, methods=["POST"])
    for headers in ({}, bearer(KEY)):
        response = client.post("/v1/change", headers=headers)
        assert response.status_code == 403
        assert "recjobs operator new" in response.json["error"]["message"]
    assert "Nobody can sign in yet" in client.get("/sign-in").text
    assert sign_in(client) == 403


def test_an_operators_secret_in_the_header_is_enough_for_a_program(operated: FlaskClient):
    response = operated.post("/v1/shop/change", headers=bearer(SECRET))
    assert response.json == {"by": "alice", "row": ["recjobs_editor", "x"]}
    for headers in ({}, bearer("wrong")):
        assert operated.post("/v1/shop/change", headers=headers).status_code == 401
    assert operated.post("/v1/nowhere/change", headers=bearer(SECRET)).status_code == 404


def test_a_key_that_reads_changes_nothing(world: World):
    client = world.client(api_keys=KEYS, operators=OPERATORS)
    client.application.add_url_rule("/v1/change", view_func=operator_required(lambda: "done"), methods=["POST"])
    assert client.post("/v1/change", headers=bearer(KEY)).status_code == 403
    assert client.post("/v1/change", headers=bearer(SECRET)).status_code == 200


@pytest.mark.parametrize(
    ("name", "secret"), [("alice", "wrong"), ("alice", ""), ("alice", CAROLS), ("", SECRET), ("bob", "x")]
)
def test_a_wrong_name_or_secret_does_not_sign_in(operated: FlaskClient, name: str, secret: str):
    assert sign_in(operated, name, secret) == 401
    assert operated.get_cookie("recjobs_operator") is None
    assert operated.post("/v1/shop/change").status_code == 401


def test_a_signed_in_operator_changes_things_by_our_own_form_only(operated: FlaskClient):
    assert sign_in(operated) == 303
    page = operated.get("/?catalog=shop").text
    assert "alice" in page
    token = token_of(page)
    assert operated.post("/changing/shop", data={"token": token}).json["by"] == "alice"
    assert operated.post("/v1/shop/change", headers={"X-Form-Token": token}).json["by"] == "alice"
    for data, headers in [
        ({}, {}),
        ({"token": "x"}, {}),
        ({"token": token}, {"Origin": "https://evil.example"}),
        ({"token": token}, {"Origin": "null"}),
        ({"token": token}, {"Sec-Fetch-Site": "cross-site"}),
        ({"token": token}, {"Sec-Fetch-Site": "same-site"}),
    ]:
        assert operated.post("/changing/shop", data=data, headers=headers).status_code == 403, (data, headers)
    assert (
        operated.post("/changing/shop", data={"token": token}, headers={"Origin": "http://localhost"}).status_code
        == 200
    )


def test_signing_out_ends_one_sign_in_and_no_other_of_the_same_operator(operated: FlaskClient):
    other = operated.application.test_client()
    assert (sign_in(operated), sign_in(other)) == (303, 303)
    assert operated.post("/sign-out", data={"token": token_of(operated.get("/").text)}).status_code == 303
    assert "alice" in other.get("/?catalog=shop").text
    assert sign_in(operated) == 303
    assert "alice" in operated.get("/?catalog=shop").text


def test_the_token_of_one_sign_in_is_of_no_use_to_another(operated: FlaskClient):
    other = operated.application.test_client()
    assert (sign_in(operated), sign_in(other, "carol", CAROLS)) == (303, 303)
    token = token_of(other.get("/?catalog=shop").text)
    assert operated.post("/changing/shop", data={"token": token}).status_code == 403


def test_the_cookie_is_for_this_site_and_no_script(world: World, operated: FlaskClient):
    set_cookie = operated.post("/sign-in", data={"name": "alice", "secret": SECRET}).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(set_cookie.split("; "))
    assert SECRET not in set_cookie
    secure = world.client(operators=OPERATORS, url="https://shop.example")
    cookie = secure.post("/sign-in", data={"name": "alice", "secret": SECRET}).headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie.split("; ")


def test_a_sign_in_ends_by_signing_out_by_a_changed_entry_and_by_another_key(world: World, operated: FlaskClient):
    assert sign_in(operated) == 303
    cookie = operated.get_cookie("recjobs_operator").value
    assert operated.post("/sign-out", data={"token": token_of(operated.get("/").text)}).status_code == 303
    assert operated.get_cookie("recjobs_operator") is None
    operated.set_cookie("recjobs_operator", cookie)  # a copy of it
    assert "alice" not in operated.get("/?catalog=shop").text
    assert operated.post("/v1/shop/change").status_code == 401

    def page_with(cookie: str, **settings: str) -> str:
        client = world.client(**settings)
        client.set_cookie("recjobs_operator", cookie)
        return client.get("/?catalog=shop").text

    key = "k" * 32
    client = world.client(operators=OPERATORS, secret_key=key)
    sign_in(client)
    cookie = client.get_cookie("recjobs_operator").value
    assert "alice" in page_with(cookie, operators=OPERATORS, secret_key=key)
    assert "alice" not in page_with(cookie, operators=entry("alice", "a new secret"), secret_key=key)
    assert "alice" not in page_with(cookie, operators=entry("carol", CAROLS), secret_key=key)
    assert "alice" not in page_with(cookie, operators=OPERATORS, secret_key="j" * 32)
    assert "alice" not in page_with(cookie, operators=OPERATORS)
    assert "alice" not in page_with(cookie[:-2] + "xx", operators=OPERATORS, secret_key=key)


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\nb", ""]
)
def test_signing_in_leads_to_no_other_site(operated: FlaskClient, back: str):
    response = operated.post("/sign-in", data={"name": "alice", "secret": SECRET, "back": back})
    assert response.headers["Location"] == "/"


def test_the_form_shows_what_it_was_given_as_text(operated: FlaskClient):
    for odd in ODD_IDS:
        page = operated.get("/sign-in", query_string={"back": f"/?user_id={odd}"})
        assert page.status_code == 200
        assert "<img src=x" not in page.text
        assert "<script>alert" not in page.text


def test_what_the_database_refuses_is_said_and_what_is_away_is_503(operated: FlaskClient, world: World):
    app = operated.application
    world.sql(
        "create function shop.error_of_ours(text) returns text language plpgsql as "
        "$$begin raise exception 'no rule without an item'; end$$"
    )
    try:
        for name, parameter, status, said in [
            ("error_of_ours", "x", 400, "no rule without an item"),
            ("pg_sleep", "nonsense", 400, "invalid input syntax"),
            ("pg_sleep", "20", 503, "does not answer"),
        ]:
            app.view_functions["changing.change"] = operator_required(
                lambda catalog, n=name, p=parameter: {"row": editor.call(catalog, n, p)}
            )
            response = operated.post("/v1/shop/change", headers=bearer(SECRET))
            assert response.status_code == status
            assert said in response.json["error"]["message"]
    finally:
        world.sql("drop function shop.error_of_ours(text)")


def test_without_the_editors_url_an_operator_is_told_what_to_set(world: World):
    client = world.client(operators=OPERATORS)
    client.application.add_url_rule(
        "/v1/change", view_func=operator_required(lambda: editor.call("shop", "add_rule", "{}")), methods=["POST"]
    )
    response = client.post("/v1/change", headers=bearer(SECRET))
    assert response.status_code == 403
    assert "RECJOBS_EDITOR_URL" in response.json["error"]["message"]


def test_a_signed_out_cookie_is_refused_on_every_replica_and_after_a_restart(world: World):
    settings = {"operators": OPERATORS, "secret_key": "k" * 32}
    reads = {"database_url": world.url("recjobs_web"), "request_log": False, **PATIENT}

    def replica(**more: str) -> FlaskClient:
        return create_app(Settings(**settings, **reads, **more)).test_client()

    for editor_url in (world.url("recjobs_editor"), None):
        one, other = replica(editor_url=editor_url), replica(editor_url=editor_url, api_keys=KEYS)
        assert sign_in(one) == 303
        cookie = one.get_cookie("recjobs_operator").value
        other.set_cookie("recjobs_operator", cookie)
        assert "alice" in other.get("/?catalog=shop").text
        token = token_of(one.get("/?catalog=shop").text)
        assert one.post("/sign-out", data={"token": token}).status_code == 303
        for each in (one, other, replica(), replica(api_keys=KEYS)):
            each.set_cookie("recjobs_operator", cookie)
            assert "alice" not in each.get("/?catalog=shop").text
            change = each.post("/rules", data={"catalog": "shop", "token": token})
            assert change.status_code == 401, change.text
            assert "alice" not in each.get("/?catalog=shop").text
        program = "/v1/shop/recommendations?user_id=u0001"
        assert other.get(program).status_code == 401
        assert other.get(program, headers=bearer(KEY)).status_code == 200


def test_while_postgres_is_away_no_cookie_is_accepted_and_signing_out_says_so(world: World):
    key = "k" * 32
    signed_in = world.client(operators=OPERATORS, secret_key=key)
    assert sign_in(signed_in) == 303
    cookie = signed_in.get_cookie("recjobs_operator").value
    token = token_of(signed_in.get("/?catalog=shop").text)
    nowhere = world.url("recjobs_web").replace(f"port={world.cluster.port}", f"port={free_port()}")
    away = create_app(
        Settings(
            database_url=nowhere, editor_url=nowhere, operators=OPERATORS, secret_key=key, api_keys=KEYS,
            request_log=False,
        )
    ).test_client()  # fmt: skip
    away.set_cookie("recjobs_operator", cookie)
    for response in (
        away.post("/sign-out", data={"token": token}),
        away.post("/rules", data={"token": token}),
        away.get("/?catalog=shop"),
        away.get("/nothing-here"),
        away.get("/v1/shop/recommendations?user_id=u0001"),
    ):
        assert response.status_code == 503
        assert "The database does not answer" in response.text
    assert away.get_cookie("recjobs_operator").value == cookie, "so that signing out can be repeated"
    assert away.get("/sign-in").status_code == 200


def test_ended_sign_ins_are_forgotten_after_a_day_and_no_reader_may_end_one(world: World):
    world.sql("insert into public.ended_sign_ins values (repeat('a', 32), now() - interval '25 hours')")
    world.sql("select public.end_sign_in(repeat('b', 32)), public.end_sign_in(repeat('b', 32))", role="recjobs_editor")
    kept = world.sql("select sign_in from public.ended_sign_ins where sign_in ~ '^(a+|b+)$'", role="recjobs_web")
    assert [tuple(row) for row in kept] == [("b" * 32,)]
    for role, statement in [
        ("recjobs_reader", "select public.end_sign_in(repeat('c', 32))"),
        ("recjobs_editor", "delete from public.ended_sign_ins"),
        ("recjobs_web", "insert into public.ended_sign_ins values (repeat('c', 32))"),
    ]:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            world.sql(statement, role=role)
