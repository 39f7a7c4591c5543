"""The boards: a question as title, the answer in the first row, what to do in each panel, and Grafana's own schema."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.commands import ROOT
from tests.debian_tools import needed
from tests.prometheus_names import GRAFANA

BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
QUESTIONS = {
    "Did the night work?", "Are users served?", "Is the data still what it was?", "Are the lists any good?",
    "What do users do with them?", "Is the machine well?", "What did the batch say?",
}  # fmt: skip
SCHEMA = json.loads((ROOT / "tests" / "contract" / "grafana_schema" / "schema.json").read_text())


def panels(file: Path) -> list[dict[str, Any]]:
    """The panels that show something."""
    return [panel for panel in json.loads(file.read_text())["panels"] if panel["type"] != "row"]


def errors(board: dict[str, Any]) -> list[str]:
    """Where a board is not what Grafana's schema says, with its panels' options and fields."""
    found = [f"{list(error.path)}: {error.message}" for error in Draft7Validator(SCHEMA).iter_errors(board)]
    for panel in board["panels"]:
        assert f"{panel['type']}.Options" in SCHEMA["definitions"] or panel["type"] == "row", panel["type"]
        for part, key in (("options", "Options"), ("fieldConfig", "FieldConfig")):
            name = f"{panel['type']}.{key}"
            if name in SCHEMA["definitions"]:
                value = panel["options"] if part == "options" else panel["fieldConfig"]["defaults"].get("custom", {})
                validator = Draft7Validator({"$ref": f"#/definitions/{name}", "definitions": SCHEMA["definitions"]})
                found += [f"{panel['title']}.{part}{list(e.path)}: {e.message}" for e in validator.iter_errors(value)]
    return found


def test_there_is_a_board_for_each_question() -> None:
    boards = [json.loads(file.read_text()) for file in BOARDS]
    assert {board["title"] for board in boards} == QUESTIONS
    assert len({board["uid"] for board in boards}) == len(boards)


@pytest.mark.parametrize("file", BOARDS, ids=lambda file: file.stem)
def test_the_first_row_is_the_answer_and_each_panel_says_what_to_do(file: Path) -> None:
    first = [panel for panel in panels(file) if panel["gridPos"]["y"] == 0]
    assert {panel["type"] for panel in first} == {"stat"}
    assert sum(panel["gridPos"]["w"] for panel in first) == 24
    for panel in panels(file):
        assert len(panel["description"].split()) >= 6, f"{panel['title']}: {panel['description']}"
        assert panel["title"].strip()
        assert panel["fieldConfig"]["defaults"].get("unit") or panel["type"] == "logs", panel["title"]


@pytest.mark.parametrize("file", BOARDS, ids=lambda file: file.stem)
def test_panels_have_their_own_id_and_do_not_overlap(file: Path) -> None:
    board = json.loads(file.read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in own) < 24, panel["title"]
        assert not own & cells, panel["title"]
        cells |= own


@pytest.mark.parametrize("file", BOARDS, ids=lambda file: file.stem)
def test_a_board_is_one_of_grafanas_schema(file: Path) -> None:
    assert errors(json.loads(file.read_text())) == []


def test_a_board_with_a_mistake_is_found() -> None:
    for where, value in (("titel", "x"), ("graphTooltip", 7), ("refresh", 5)):
        board = json.loads(BOARDS[0].read_text())
        board[where] = value
        assert errors(board), where
    board = json.loads(BOARDS[0].read_text())
    stat = next(panel for panel in board["panels"] if panel["type"] == "stat")
    stat["options"]["colorMode"] = "loud"
    assert errors(board)


def test_the_runbook_entries_and_boards_that_texts_name_exist() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text()
    assert set(re.findall(r"\[([A-Z][^\]]*\?)\]", re.sub(r"\s+", " ", page))) <= QUESTIONS
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    for file in BOARDS:
        for panel in panels(file):
            for entry in re.findall(r"runbook, \*?([A-Za-z `]+?)\*?(?:[.;,)]| and)", panel["description"]):
                assert [h for h in headings if h.replace("`", "").startswith(entry)], f"{panel['title']}: {entry}"


def test_provisioning_names_the_sources_that_panels_ask_and_the_folder_of_the_boards() -> None:
    folder = GRAFANA / "provisioning"
    sources = {
        source["uid"]: source["type"]
        for file in (folder / "datasources").glob("*.yaml")
        for source in yaml.safe_load(file.read_text())["datasources"]
    }
    asked = {(t["datasource"]["uid"], t["datasource"]["type"]) for f in BOARDS for p in panels(f) for t in p["targets"]}
    assert asked == set(sources.items())
    (provider,) = yaml.safe_load((folder / "dashboards" / "recjobs.yaml").read_text())["providers"]
    assert provider["options"]["path"].endswith("/dashboards")


def test_lines_are_kept_for_thirty_days_and_no_id_makes_a_stream_of_its_own() -> None:
    loki = yaml.safe_load((GRAFANA / "loki.yaml").read_text())
    assert (loki["limits_config"]["retention_period"], loki["compactor"]["retention_enabled"]) == ("720h", True)
    lines = (GRAFANA / "lines.alloy").read_text()
    stages = dict(re.findall(r"stage\.(\w+) \{\s+values = \{ (.*) \}", lines))
    assert set(re.findall(r"(\w+) =", stages["labels"])) == {"level", "catalog", "step"}
    assert set(re.findall(r"(\w+) =", stages["structured_metadata"])) == {"batch_id", "request_id"}
    for name in ("compose.alloy", "kubernetes.alloy", "lines.alloy"):
        text = re.sub(r'"(\\.|[^"\\])*"|//.*', "", (GRAFANA / name).read_text())
        assert text.count("{") == text.count("}"), name
    for name in ("compose.alloy", "kubernetes.alloy"):
        assert 'filename = "/etc/alloy/lines.alloy"' in (GRAFANA / name).read_text()
        assert "recjobs.recjobs_lines.store.receiver" in (GRAFANA / name).read_text()
    assert 'declare "recjobs_lines"' in lines


BY_HAND = {
    'container_cpu_usage_seconds_total{namespace="shop", pod="webapp-1", container="webapp", image="webapp"}': "0+9x40",
    'container_memory_working_set_bytes{namespace="shop", pod="webapp-1", container="webapp", image="webapp"}': "90x40",
    'kube_pod_container_status_restarts_total{namespace="shop", pod="webapp-1", container="webapp"}': "0x20 1x20",
    'kube_pod_status_ready{namespace="shop", pod="webapp-1", condition="false"}': "0x40",
    'DCGM_FI_DEV_GPU_UTIL{Hostname="node-1", gpu="0"}': "50x40",
    'DCGM_FI_DEV_FB_USED{Hostname="node-1", gpu="0"}': "2000x40",
    **{f'recjobs_gpu_{name}{{catalog="shop", step="train"}}': "50x40"
       for name in ("utilization", "memory", "temperature", "power")},
    "recjobs_backup_finished_timestamp_seconds": "0x40",
}  # fmt: skip
"""What only a cluster, a GPU or a back-up has. tests/integration/test_watch.py sees all others in real ones."""


def test_panels_of_clusters_gpus_and_back_ups_have_something_to_show(tmp_path: Path) -> None:
    names = "|".join(re.split(r"\{", series)[0] for series in BY_HAND)
    asked = [
        t["expr"] for f in BOARDS for p in panels(f) for t in p["targets"] if re.search(rf"\b({names})\b", t["expr"])
    ]
    assert len(asked) == len(BY_HAND)

    def promtool(series: dict[str, str]) -> int:
        test = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {"expr": f"count({e}) > bool 0", "eval_time": "35m", "exp_samples": [{"labels": "{}", "value": 1}]}
                for e in asked
            ],
        }
        (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
        return subprocess.run([needed("promtool"), "test", "rules", tmp_path / "tests.yaml"], check=False).returncode

    assert promtool(BY_HAND) == 0
    for missing in BY_HAND:
        assert promtool({name: values for name, values in BY_HAND.items() if name != missing}) != 0, missing
