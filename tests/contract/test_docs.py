"""What the documents promise: settings, commands, links."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recjobs import NIGHT
from recjobs.__main__ import cli
from recjobs.adapters import sample_shop
from recjobs.catalog.gate import Gate
from recjobs.config import Settings
from recjobs.core.evaluation.gate import NEIGHBOURS, SEGMENTS, Bounds, Shown, decide
from recjobs.core.lists.choice import OWN_FREQUENCY
from recjobs.core.lists.popularity import WINDOWS
from recjobs.core.rows.reason_codes import as_markdown
from webapp.settings import Settings as WebSettings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MARKDOWN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


def settings() -> set[str]:
    fields = [*Settings.model_fields.values(), *WebSettings.model_fields.values()]
    return {field.alias for field in fields if field.alias}


def test_every_setting_stands_in_the_readme_and_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert {name for name in settings() if f"`{name}`" not in README} == set()
    assert {name for name in settings() if f"\n# {name}=" not in example} == set()


def test_a_number_in_the_example_is_what_holds_if_nothing_is_said() -> None:
    example = dict(
        re.findall(r"^# ([A-Z_]+)=(\d+)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )
    fields = [*Settings.model_fields.values(), *WebSettings.model_fields.values()]
    assert len(example) > 5
    assert [
        field.alias for field in fields if field.alias in example and int(example[field.alias]) != field.default
    ] == []


def test_the_readme_and_the_example_name_no_setting_that_nobody_reads() -> None:
    table = README[README.index("## Settings") : README.index("## Data")]
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})`", table))
    example = set(re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert named - settings() == set()
    # each name of a connection is a setting of its own
    assert {name for name in example - settings() if not name.startswith("RECJOBS_CONNECTION_")} == set()


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_every_recjobs_and_make_command_in_the_documents_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    verbs = set(
        re.findall(r"(?:^|[`/ ])recjobs ([a-z]+(?:-[a-z]+)*)(?= --|`| [A-Za-z./]+`| data|$)", text, re.MULTILINE)
    )
    assert verbs - set(cli.commands) == set()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)) - targets == set()


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_every_link_inside_the_repository_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = [
        re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    ]
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


LINKING = [
    *MARKDOWN, ROOT / "CHANGELOG.md", ROOT / ".env.example",
    *(path for folder in ("recjobs", "webapp", "local", "dags", "sql", "docker", "catalogs")
      for ext in ("py", "jinja", "html", "sql", "yaml", "yml", "md") for path in (ROOT / folder).rglob(f"*.{ext}")),
]  # fmt: skip


def test_every_link_to_a_heading_of_the_documents_leads_to_one() -> None:
    broken = []
    for path in LINKING:
        for page, anchor in re.findall(r"([\w./-]*\.md|(?<=\]\())#([\w-]+)", path.read_text(encoding="utf-8")):
            places = [path.parent / page, ROOT / page.removeprefix("/"), ROOT / "docs" / Path(page).name]
            target = next((place for place in places if place.is_file()), None) if page else path
            if target is None or anchor not in anchors(target):
                broken.append(f"{path.relative_to(ROOT)}: {page}#{anchor}")
    assert broken == []
    assert "keys" in anchors(ROOT / "docs" / "operating.md"), "and there are some"


def test_the_users_items_and_categories_of_the_examples_are_in_the_sample() -> None:
    items = pa.Table.from_batches([*sample_shop.read("sample:items")])
    users = pa.Table.from_batches([*sample_shop.read("sample:interactions")])["user_id"].to_pylist()
    known = {*users, *items["item_id"].to_pylist()}
    categories = set(items["categories"].combine_chunks().flatten().to_pylist())
    pages = [path.read_text(encoding="utf-8") for path in (*MARKDOWN, ROOT / "sql" / "examples.sql")]
    named = {name for page in pages for name in re.findall(r"\b[CG]\d{4,}\b", page)}
    assert len(named) > 3
    assert named - known == set()
    asked = {name for page in pages for name in re.findall(r"/v1/sample/\S*[?&]category=(\w+)", page)}
    assert asked
    assert asked - categories == set()


def test_every_message_that_troubleshooting_quotes_is_one_of_a_program() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    cells = [cell for cell in re.findall(r"^\| (.+?) \|", page, re.MULTILINE) if "(from " not in cell]
    quoted = {text for cell in cells for text in re.findall(r"`([^`]+)`", cell) if not text.startswith("make ")}
    folders = ("recjobs", "webapp", "local", "acceptance", "docker", "tests")
    code = " ".join(
        path.read_text(encoding="utf-8")
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".sh") and path.name != "test_docs.py"
    )
    assert len(quoted) > 15
    assert {text for text in quoted if text not in code} - {"source: popular", "begin", "CI"} == set()


def test_the_picture_of_the_readme_can_be_drawn() -> None:
    picture = re.search(r"^```mermaid\n(flowchart LR\n.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert picture
    named = set(re.findall(r"\b([a-z]+)(?=\[|\(\[)", picture[1]))
    ends = {name for line in picture[1].splitlines() if re.search(r"-->|-\.-|\.->|<-->", line)
            for name in re.findall(r"(?:^\s*|[>] )([a-z]+)", line)}  # fmt: skip
    assert ends - named == set(), "a line begins or ends at a box that has no title"


def test_the_readme_shows_every_screenshot_that_the_script_takes_and_all_are_small() -> None:
    script = (ROOT / "tests" / "screenshots.py").read_text(encoding="utf-8")
    pictures = sorted((ROOT / "docs" / "screenshots").iterdir())
    assert [path.name for path in pictures] == sorted(
        f"{name}.png" for name in re.findall(r'save\(\w+, "(\w+)"\)', script)
    )
    assert 4 <= len(pictures) <= 5
    assert [path.name for path in pictures if path.stat().st_size > 150_000] == []
    assert [path.name for path in pictures if f"](docs/screenshots/{path.name})" not in README] == []


def test_make_help_lists_every_command_a_user_may_give() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "up", "down", "status", "mlflow", "check", "install", "bench", "soak"):
        assert f"make {target} " in shown


def test_the_architecture_page_lists_the_steps_in_their_order() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\w+) \|", page[page.index("| begin |") :], re.MULTILINE)[: len(NIGHT) + 1] == [
        "begin",
        *NIGHT,
    ]


def test_importing_the_configuration_loads_nothing_heavy() -> None:
    heavy = "('numpy', 'pyarrow', 'implicit', 'mlflow')"
    code = f"import sys, recjobs.config; print(*(m for m in {heavy} if m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == ""


def test_the_table_of_reason_codes_is_the_one_of_the_code() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    table = page.split("<!-- reasons -->\n")[1].split("\n<!-- end of reasons -->")[0]
    assert table == as_markdown(), "put the output of `recjobs reasons` there"


def gate_table(name: str) -> list[list[str]]:
    page = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    table = page.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- end of {name} -->")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_table_of_the_gates_keys_is_the_one_of_the_code() -> None:
    said = {row[0].strip("`"): row[1] for row in gate_table("keys")}
    defaults = {key: field.default for key, field in Gate.model_fields.items()}
    assert said == {key: "null" if default is None else str(default) for key, default in defaults.items()}


def test_the_table_of_the_gates_checks_names_all_of_them_in_their_order_with_their_keys() -> None:
    users = np.linspace(0.1, 0.9, 30)
    shown, keys = Shown(users, 0.5, 0.5, 5.0), Gate(max_neighbours_drop=0.3).model_dump()
    asked = {name: keys[name] for name in keys if name in Bounds.__annotations__} | {"min_holdout_users": 1}
    found: dict[str, float | None] = {}
    for same_recipe in (False, True):
        verdict = decide(
            shown, shown, dict.fromkeys((*WINDOWS, NEIGHBOURS, OWN_FREQUENCY), users / 2), same_recipe=same_recipe,
            segments=dict.fromkeys(SEGMENTS, users > 0), defect=None, bounds=Bounds(**asked), seed=1,
        )  # fmt: skip
        found |= {check.name: check.bound for check in verdict.checks}
    rows = [(names.replace("`", "").split(", "), key.strip("`")) for names, _, key in gate_table("checks")]
    order = [name for names, _ in rows for name in names]
    assert sorted(order) == sorted(found)
    assert [name for name in order if name in {check.name for check in verdict.checks}] == [
        check.name for check in verdict.checks
    ]
    for names, key in rows:
        for name in names:
            assert not key or abs(found[name] or 0) == keys[key], (name, key)


@pytest.mark.parametrize(
    "file",
    [
        "requirements.in",
        "requirements-dev.in",
        "requirements-databases.in",
        "requirements-gpu.in",
        "requirements-images.in",
        "requirements-kubernetes.in",
        "requirements-spark.in",
        "requirements-tables.in",
        "requirements-tracing.in",
        "requirements-webapp.in",
    ],
)
def test_every_dependency_is_in_a_decision_record(file: str) -> None:
    records = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "decisions").glob("*.md"))
    named = set(re.findall(r"[a-z0-9][a-z0-9-]*", records.lower()))
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    packages = [re.split(r"[=<>\s]", line.lower())[0] for line in lines if not line.startswith("-c")]
    assert [p for p in packages if not {p, p.removesuffix("-binary")} & named] == []


def test_each_trouble_of_the_drills_names_alerts_of_the_runbook_and_a_test_that_plants_it() -> None:
    page = (ROOT / "docs" / "drills.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 10
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    entries = set(re.findall(r"^### (\w+)$", runbook, re.MULTILINE))
    named = {alert for row in rows for alert in re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", row[1])}
    assert len(named) >= 10
    assert named - entries == set()
    for row in rows:
        path, _, test = row[4].split("`")[1].partition("::")
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), row[4]
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "grafana" / "dashboards").glob("*.json")]
    shown = {board["title"]: {panel["title"] for panel in board["panels"]} for board in boards}
    for row in rows:
        board, *panels = re.findall(r"\*([^*]+)\*", row[1])
        assert panels, row[1]
        assert set(panels) <= shown[board], row[1]
