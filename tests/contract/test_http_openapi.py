"""/openapi.json is valid, lists exactly the routes there are, and every answer is as it says."""

import re

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.webapp_credentials import KEYS, OPERATORS
from tests.webapp_world import ODD_IDS, World
from webapp.api.errors import is_for_programs

pytest_plugins = ["tests.webapp_fixtures"]


@pytest.fixture
def document(client: FlaskClient) -> dict:
    response = client.get("/openapi.json")
    assert response.content_type == "application/json"
    return response.json


def check(document: dict, address: str, client: FlaskClient) -> int:
    """Hold a response against what the document says of its route and status."""
    adapter = client.application.url_map.bind("localhost")
    rule, _ = adapter.match(address.partition("?")[0], return_rule=True)
    response = client.get(address)
    described = document["paths"][template(rule.rule)]["get"]["responses"][str(response.status_code)]
    media = described["content"][response.mimetype]
    if response.mimetype == "application/json":
        Draft202012Validator(media["schema"] | {"components": document["components"]}).validate(response.json)
    for header in described.get("headers", {}):
        assert header in response.headers
    return response.status_code


def template(rule: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def test_the_document_is_valid_openapi_3_1(document: dict):
    OpenAPIV31SpecValidator(document).validate()


def test_the_document_lists_exactly_the_routes_for_programs(document: dict, client: FlaskClient):
    rules = client.application.url_map.iter_rules()
    routes = {(template(rule.rule), m.lower()) for rule in rules for m in rule.methods - {"HEAD", "OPTIONS"}}
    for_programs = {(path, method) for path, method in routes if is_for_programs(path) or path.startswith("/reports/")}
    described = {(path, method) for path, operations in document["paths"].items() for method in operations}
    assert described == for_programs


def test_every_query_parameter_that_is_described_is_accepted_and_no_other(document: dict, client: FlaskClient):
    values = {"user_id": "u0001", "item_id": "item5", "category": "kind 1", "n": "2", "offset": "3"}
    values |= {"exclude": "item1", "prefer": "kind 2"}
    places = {"catalog": "shop", "user_id": "u0001", "item_id": "item5", "batch_id": "20240101T000000Z-1"}
    for path, operations in document["paths"].items():
        if "get" not in operations:
            continue
        described = {p["name"] for p in operations["get"]["parameters"] if p["in"] == "query"}
        address = re.sub(r"{(\w+)}", lambda name: places[name[1]], path)
        all_of_them = {name: values.get(name, "x") for name in described}
        at_best = {200} if described <= values.keys() else {200, 400, 404}
        if operations["get"].get("security") == [{"operator": []}]:  # and there are none here
            at_best = {403}
        assert client.get(address, query_string=all_of_them).status_code in at_best, path
        for name in ["surprise", *values.keys() - described]:
            status = client.get(address, query_string=all_of_them | {name: "1"}).status_code
            assert status == (403 if at_best == {403} else 400), (path, name)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/v1/shop/recommendations?user_id=u0000", 200),
        ("/v1/shop/recommendations?user_id=u0001&n=30", 200),
        ("/v1/shop/recommendations?user_id=u0002", 200),
        ("/v1/shop/recommendations?user_id=u0003", 200),
        ("/v1/shop/recommendations?user_id=nobody", 200),
        ("/v1/shop/recommendations?user_id=u0000&exclude=item1&exclude=item3&n=30", 200),
        ("/v1/shop/recommendations?user_id=u0000&category=kind 1&offset=3", 200),
        ("/v1/shop/recommendations?user_id=nobody&prefer=kind 1", 200),
        ("/v1/shop/recommendations?user_id=u0000&category=nothing", 404),
        ("/v1/shop/recommendations", 400),
        ("/v1/shop/basket?item_id=item1&item_id=item2", 200),
        ("/v1/shop/basket?item_id=nothing", 200),
        ("/v1/shop/basket", 400),
        ("/v1/empty/basket?item_id=item1", 503),
        ("/v1/nowhere/recommendations?user_id=u0001", 404),
        ("/v1/empty/recommendations?user_id=u0001", 503),
        ("/v1/shop/users/u0001/recommendations", 200),
        ("/v1/shop/users/u0001/recommendations?n=31", 400),
        ("/v1/nowhere/users/u0001/recommendations", 404),
        ("/v1/empty/users/u0001/recommendations", 503),
        ("/v1/shop/similar?item_id=item2", 200),
        ("/v1/shop/similar?item_id=item299", 200),
        ("/v1/shop/similar", 400),
        ("/v1/shop/similar?item_id=nothing", 404),
        ("/v1/empty/similar?item_id=item1", 503),
        ("/v1/shop/again?user_id=u0001", 200),
        ("/v1/shop/again?user_id=nobody", 200),
        ("/v1/shop/again", 400),
        ("/v1/empty/again?user_id=u0001", 503),
        ("/v1/shop/together?item_id=item2", 200),
        ("/v1/shop/together?item_id=item298", 200),
        ("/v1/shop/together", 400),
        ("/v1/shop/together?item_id=nothing", 404),
        ("/v1/empty/together?item_id=item1", 503),
        ("/v1/shop/items/item1/similar", 200),
        ("/v1/shop/items/nothing/similar", 404),
        ("/v1/shop/popular", 200),
        ("/v1/shop/popular?category=kind 1", 200),
        ("/v1/shop/popular?category=nothing", 404),
        ("/v1/empty/popular", 503),
        ("/v1", 200),
        ("/v1?n=1", 400),
        ("/v1/shop/categories", 200),
        ("/v1/shop/categories?n=1&offset=1", 200),
        ("/v1/shop/categories?n=1001", 400),
        ("/v1/empty/categories", 503),
        ("/v1/shop/segments", 200),
        ("/v1/nowhere/segments", 404),
        ("/v1/empty/segments", 503),
        ("/v1/shop/batches", 200),
        ("/v1/shop/batches?n=0", 400),
        ("/v1/empty/batches", 503),
        ("/v1/shop/batches/20240101T000000Z-1", 200),
        ("/v1/shop/batches/nothing", 404),
        ("/v1/empty/batches/nothing", 503),
        ("/info", 200),
        ("/info?x=1", 400),
        ("/healthz", 200),
        ("/healthz?x=1", 400),
        ("/readyz", 200),
        ("/openapi.json", 200),
        ("/reports/shop/20240101T000000Z-1", 200),
        ("/reports/shop/nothing", 404),
    ],
)
def test_an_answer_is_as_described(document: dict, client: FlaskClient, address: str, status: int):
    assert check(document, address, client) == status


def test_the_page_that_describes_the_api_names_every_route_parameter_and_answer(document: dict, client: FlaskClient):
    page = client.get("/docs").text
    for path, operations in document["paths"].items():
        for method, described in operations.items():
            assert f"<code>{method.upper()} {path}</code>" in page
            assert all(f"<code>{parameter['name']}</code>" in page for parameter in described["parameters"])
    for name, described in document["components"]["schemas"].items():
        assert f'<section id="{name}"' in page
        assert all(f"<code>{field}</code>" in page for field in described.get("properties", {}))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_page_begins_with_what_applications_ask_for_and_shows_code_as_code(client: FlaskClient):
    page = client.get("/docs").text
    assert page.index("GET /v1/{catalog}/recommendations") < page.index("GET /healthz")
    assert "`" not in page
    assert "<code>Retry-After</code>" in page


def test_what_keys_and_limits_answer_is_described_though_none_are_set(document: dict):
    for path, operations in document["paths"].items():
        for described in operations.values():
            assert ("401" in described["responses"]) == (path.startswith("/v1") or path == "/info"), path
            assert ("429" in described["responses"]) == (path not in ("/healthz", "/readyz", "/metrics")), path


@pytest.mark.parametrize("address", ["/v1/shop/recommendations?user_id=u&", "/v1/shop/popular?", "/healthz?", "/docs?"])
def test_an_unknown_parameter_is_named(client: FlaskClient, address: str):
    for given, shown in (("limit=5", "'limit'"), ("%C3%A9%0A=1", "'é\\n'"), ("x" * 999 + "=1", f"'{'x' * 40}...'")):
        refused = client.get(address + given)
        assert refused.status_code == 400
        if refused.is_json:
            assert shown in refused.json["error"]["message"]


def test_the_document_says_which_credential_a_route_needs(world: World):
    described = world.client(api_keys=KEYS, operators=OPERATORS).get("/openapi.json").json
    OpenAPIV31SpecValidator(described).validate()
    needed = {path: each["get"].get("security") for path, each in described["paths"].items() if "get" in each}
    assert needed["/v1/{catalog}/popular"] == [{"key": []}, {"operator": []}]
    assert needed["/reports/{catalog}/{batch_id}"] == [{"operator": []}]
    assert needed["/v1"] == needed["/info"] == needed["/v1/{catalog}/popular"]
    assert needed["/healthz"] is None
    assert "401" in described["paths"]["/v1/{catalog}/popular"]["get"]["responses"]


def test_the_answers_for_odd_ids_are_as_described_too(document: dict, client: FlaskClient):
    schema = document["components"]["schemas"]["Recommendations"] | {"components": document["components"]}
    for user_id in ODD_IDS:
        answer = client.get("/v1/shop/recommendations", query_string={"user_id": user_id}).json
        Draft202012Validator(schema).validate(answer)
