"""The plan of the load test, and that k6 and our own client do the same with it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from acceptance.load import Measured, judge
from acceptance.plan import FILE, Condition, Plan, PlanError, percentile, read
from acceptance.visitors import KINDS, SAMPLE_CUSTOMERS, Visitors
from tests.commands import ROOT

SCRIPT = ROOT / "acceptance" / "load.js"
IN_PLACE_OF_K6 = """
const asked = [];
const answer = {status: 200, headers: {Etag: "tag"}, json: () => [{item_id: "G0001"}]};
const http = {
  expectedStatuses: () => 0, setResponseCallback: () => 0,
  get: (url, more) => { asked.push([more.tags?.name, "GET", url, more.headers]); return answer; },
  post: (url, body, more) => { asked.push([more.tags.name, "POST", url, JSON.parse(body)]); return answer; },
};
const check = () => true, __ENV = JSON.parse(process.argv[1]);
const open = (path) => require("fs").readFileSync(require("path").resolve("acceptance", path), "utf8");
"""


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if not found and os.environ.get("CI"):
        pytest.fail("node is not installed, and with CI set nothing may be left untested: apt-get install nodejs")
    return found or pytest.skip("node is not installed (on Debian: apt-get install nodejs)")


def plan_of(*stages: tuple[str, float], thresholds: dict[str, list[str]] | None = None) -> Plan:
    given = [{"duration": duration, "target": target} for duration, target in stages]
    return Plan.model_validate({"stages": given, "thresholds": thresholds or {}, "mix": {"list": 1}})


def test_the_rate_goes_straight_from_one_stage_to_the_next():
    plan = plan_of(("10s", 20), ("1m", 20), ("500ms", 0))
    assert plan.seconds == 70.5
    assert [plan.rate(at) for at in (0, 5, 10, 69, 70.25)] == [0.5, 10, 20, 20, 10]


def test_a_threshold_holds_or_not_by_the_values_of_its_metric():
    measured = Measured([float(n) for n in range(1, 101)], failed=1, dropped=0)
    plan = plan_of(("1s", 1), thresholds={
        "http_req_failed": ["rate<0.01", "rate<=0.01"], "dropped_iterations": ["count<1"],
        "http_req_duration": ["p(99)<100", "p(99)<99", "max<=100", "avg<50.6", "med<50"],
    })  # fmt: skip
    assert [verdict.passed for verdict in judge(plan, measured)] == [
        False, True, True, True, False, True, True, False,
    ]  # fmt: skip
    assert {
        verdict.passed for verdict in judge(plan_of(("1s", 1), thresholds={"http_req_failed": ["rate<1"]}), Measured())
    } == {False}, "no request at all is no success"


def test_a_percentile_is_a_value_that_was_measured():
    assert [percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0, 25, 50, 51, 99, 100)] == [1, 1, 2, 3, 4, 4]
    assert percentile([], 99) == 0
    assert Condition.of(" p(99.9) <= 3 ") == Condition("p(99.9)", True, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": [{"duration": "soon", "target": 1}]}, r"stages\.0\.duration: is no duration"),
        ({"thresholds": {"p99": ["max<1"]}}, r"thresholds\.p99"),
        ({"thresholds": {"http_req_failed": ["p(9)<1"]}}, r"http_req_failed has no p\(9\)"),
        ({"thresholds": {"http_req_failed": ["rate"]}}, "is no condition such as"),
        ({"mix": {"lists": 1}}, "lists is none of list, "),
        ({"stage": []}, "stage: "),
    ],
)
def test_a_plan_that_cannot_be_used_is_named(tmp_path: Path, change: dict[str, Any], message: str):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**json.loads(FILE.read_text()), **change}))
    with pytest.raises(PlanError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    with pytest.raises(PlanError, match="cannot be read"):
        read(tmp_path / "none.json")


def test_our_plan_can_be_read_and_asks_for_every_kind():
    assert set(read().mix) == set(KINDS)


def check_syntax(node: str, script: str) -> int:
    command = [node, "--check", "--input-type=module"]
    return subprocess.run(command, input=script, text=True, capture_output=True, check=False).returncode


def test_node_can_read_the_k6_script_and_finds_a_planted_fault(node: str):
    script = SCRIPT.read_text()
    assert check_syntax(node, script) == 0
    assert check_syntax(node, script.replace("switch (kind) {", "switch (kind {", 1)) != 0


def shape(kind: str, path: str) -> tuple[str, str]:
    """A request without what is drawn."""
    path = re.sub(r"guest-[0-9a-f]+", "GUEST", path)
    return kind, re.sub(r"\bC\d{4}\b", "USER", path)


def test_k6_and_our_client_send_the_same_requests(node: str):
    script = re.sub(r"^import .*$", "", SCRIPT.read_text(), flags=re.MULTILINE)
    script = script.replace("export default function", "function iteration").replace("export ", "")
    run = "const items = setup().slice(0); asked.length = 0; for (let k = 0; k < 5000; k++) iteration(items);"
    report = "console.log(JSON.stringify([asked, options]))"
    settings = {"BASE_URL": "https://lists.example.com/", "CATALOG": "shop", "API_KEY": "rk_key"}
    done = subprocess.run(
        [node, "-e", f"{IN_PLACE_OF_K6}{script}{run}{report}", json.dumps(settings)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    asked, options = json.loads(done.stdout)
    base = "https://lists.example.com"
    theirs = {shape(kind, url.removeprefix(base)) for kind, _, url, _ in asked}
    visitors = Visitors("shop", SAMPLE_CUSTOMERS, ["G0001"], read().mix)
    questions = [visitors.next() for _ in range(5000)]
    assert theirs == {shape(question.kind, question.path) for question in questions}
    assert {kind for kind, _ in theirs} == set(KINDS)
    bodies = [body for _, method, _, body in asked if method == "POST"]
    assert bodies[0] == next(question.body for question in questions if question.body)
    assert {headers["Authorization"] for _, method, _, headers in asked if method == "GET"} == {"Bearer rk_key"}
    assert any("If-None-Match" in headers for kind, method, _, headers in asked if method == "GET")
    plan = json.loads((ROOT / "acceptance" / "load.json").read_text())
    assert (options["thresholds"], options["scenarios"]["users"]["stages"]) == (plan["thresholds"], plan["stages"])
