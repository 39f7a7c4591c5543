"""The workflows: pinned, with few rights, without secrets for a fork, and held against the Makefile and the page."""

import json
import os
import re
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from recjobs.config import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = {path.stem: path for path in sorted((GITHUB / "workflows").glob("*.yml"))}
PAGE = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
RUNNERS = {"ubuntu-24.04", ("self-hosted", "linux", "x64", "gpu")}


def loaded(name: str) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))
    return workflow


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    return [(name, key, job) for name in WORKFLOWS for key, job in loaded(name)["jobs"].items()]


def triggers(name: str) -> set[str]:
    return {*loaded(name)[True]}  # YAML reads the key `on` so


def steps() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{name}/{key}", step) for name, key, job in jobs() for step in job.get("steps", [])]


def named(kind: str, name: str) -> set[str]:
    return set(re.findall(rf"\b{kind}\.([A-Za-z_]+)", WORKFLOWS[name].read_text(encoding="utf-8")))


def test_there_are_the_workflows_that_the_page_describes() -> None:
    assert {*WORKFLOWS} == set(re.findall(r"^\| `(\w+)\.yml` \|", PAGE, re.MULTILINE))


def test_every_action_is_pinned_by_a_commit_and_says_its_version() -> None:
    uses = [
        (name, line.strip())
        for name, path in WORKFLOWS.items()
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(- )?uses:", line) and "uses: ./" not in line
    ]
    assert len(uses) > 20
    pinned = re.compile(r"(?:- )?uses: ([\w.-]+/[\w.-]+)(?:/[\w.-]+)*@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)")
    assert [use for use in uses if not pinned.fullmatch(use[1])] == []
    versions: dict[str, set[tuple[str, str]]] = {}
    for repository, commit, version in (match.groups() for _, use in uses if (match := pinned.fullmatch(use))):
        versions.setdefault(repository, set()).add((commit, version))
    assert {repository: found for repository, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_no_rights_of_its_own_and_each_job_few(name: str) -> None:
    workflow = loaded(name)
    assert workflow["permissions"] == {}
    for key, job in workflow["jobs"].items():
        assert "permissions" in job, key
        for scope, right in job["permissions"].items():
            assert (scope, right) == ("contents", "read") or right == "write", (key, scope, right)
    text = WORKFLOWS[name].read_text(encoding="utf-8")
    assert re.findall(r"^ +[a-z-]+: write *$", text, re.MULTILINE) == [], "each right to write says what for"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_runs_do_not_overtake_each_other_and_what_deploys_is_not_cancelled(name: str) -> None:
    concurrency = loaded(name)["concurrency"]
    assert concurrency["group"]
    if not triggers(name) & {"pull_request"}:
        assert concurrency["cancel-in-progress"] is False
    for _, key, job in jobs():
        if "environment" in job:
            assert job["concurrency"] == {"group": job["environment"]["name"], "cancel-in-progress": False}, key


def test_what_a_pull_request_starts_sees_no_secret_and_runs_on_no_machine_of_ours() -> None:
    started = {name for name in WORKFLOWS if triggers(name) & {"pull_request", "merge_group", "workflow_call"}}
    assert started == {"ci", "security"}
    for name in started:
        assert named("secrets", name) == set()
        assert {job["runs-on"] for _, job in loaded(name)["jobs"].items()} == {"ubuntu-24.04"}
        assert not any("environment" in job for job in loaded(name)["jobs"].values())
    for name in WORKFLOWS:
        assert triggers(name) & {"pull_request_target", "workflow_run", "issue_comment"} == set()


def test_every_job_runs_on_a_runner_that_there_is() -> None:
    runners = {tuple(r) if isinstance(r := job["runs-on"], list) else r for _, _, job in jobs() if "runs-on" in job}
    assert runners == RUNNERS


def test_every_make_target_and_script_that_a_workflow_calls_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    scripts = "\n".join(step.get("run", "") for _, step in steps())
    called = set(re.findall(r"(?:\bmake|\.ci/run) ([a-z-]+)", scripts))
    assert {"check", "test", "scan", "smoke", "coverage", "install"} <= called
    assert called - targets == set()
    files = set(re.findall(r"(?<![\w/])(\.(?:ci|github)/[\w./-]+)", scripts))
    assert files == {".ci/run", ".github/deploy.sh", ".github/notify.sh"}
    assert [file for file in files if not (ROOT / file).stat().st_mode & 0o100] == []


@pytest.mark.parametrize("job", [key for name, key, job in jobs() if "container" in job])
def test_root_of_a_container_may_ask_git_about_the_checkout_of_the_runner(job: str, tmp_path: Path) -> None:
    first, second, *_ = loaded("ci")["jobs"][job]["steps"]
    assert second["uses"].startswith("actions/checkout@")
    clone = tmp_path / "clone"
    environment = {"HOME": str(tmp_path), "GITHUB_WORKSPACE": str(clone), "PATH": os.environ["PATH"]}
    environment |= {"GIT_CONFIG_SYSTEM": str(tmp_path / "gitconfig"), "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    subprocess.run(["git", "init", "--quiet", clone], check=True)

    def asked() -> str:
        done = subprocess.run(
            ["git", "ls-files"], cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        return done.stderr

    assert "dubious ownership" in asked()
    (line,) = (line for line in first["run"].splitlines() if line.startswith("git "))
    subprocess.run(["sh", "-ec", line], env=environment, check=True)
    assert asked() == ""


def test_every_image_that_is_built_has_its_dockerfile_and_each_is_built() -> None:
    built = {
        step["with"]["file"]
        for place, step in steps()
        if step.get("uses", "").startswith("docker/build-push-action@") and place == "delivery/build"
    }
    assert built == {f"docker/{name}/Dockerfile" for name in ("webapp", "jobs", "jobs-gpu")}
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "docker").glob("*/Dockerfile")}
    assert not there or there == built
    text = WORKFLOWS["delivery"].read_text(encoding="utf-8")
    assert len(set(re.findall(r"ghcr\.io/recjobs/(recjobs-[\w-]+)@\$\{\{", text))) == len(built)


def test_every_build_argument_is_one_of_its_dockerfile() -> None:
    builds = [step["with"] for _, step in steps() if step.get("uses", "").startswith("docker/build-push-action@")]
    assert len(builds) == 4
    for build in builds:
        for name in ("webapp", "jobs") if "matrix" in build["file"] else (Path(build["file"]).parent.name,):
            dockerfile = ROOT / "docker" / name / "Dockerfile"
            if dockerfile.exists():
                known = set(re.findall(r"^ARG (\w+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE))
                assert {line.split("=")[0] for line in build["build-args"].splitlines()} <= known, name


def test_nothing_is_built_for_production() -> None:
    assert [
        step for place, step in steps() if place.startswith("release/") and "build-push" in step.get("uses", "")
    ] == []
    order = [step.get("run", "") for place, step in steps() if place == "release/production"]
    text = "\n".join(order)
    assert [text.index(part) for part in ("promote", " wait ", "make smoke", " accept ", " back ")] == sorted(
        text.index(part) for part in ("promote", " wait ", "make smoke", " accept ", " back ")
    )


@pytest.mark.parametrize(("workflow", "job"), [("delivery", "staging"), ("release", "production")])
def test_a_failed_acceptance_rolls_back_ends_red_and_tells(workflow: str, job: str) -> None:
    steps = loaded(workflow)["jobs"][job]["steps"]
    assert loaded(workflow)["jobs"][job]["environment"]["name"] == job
    back = next(step for step in steps if step.get("name") == "roll back")
    assert back["run"] == f".github/deploy.sh back {job}"
    assert back["if"] == "${{ (failure() || cancelled()) && steps.release.outcome == 'success' }}"
    assert not any("continue-on-error" in step for step in steps), "so the job stays red"
    notify = loaded(workflow)["jobs"]["notify"]
    assert notify["if"] == "failure()"
    assert {job} < {*notify["needs"]}
    said = [step.get("run", "") for step in notify["steps"]]
    assert any(run.startswith("gh issue create") for run in said)
    assert any(run.startswith(".github/notify.sh") for run in said)


def test_the_page_lists_every_secret_and_variable_with_the_workflows_that_read_it() -> None:
    rows = PAGE.split("<!-- secrets and variables -->\n")[1].split("\n<!-- end of secrets and variables -->")[0]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()[2:]]
    table = {(kind, name.strip("`")): set(re.findall(r"`(\w+)\.yml`", users)) for name, kind, _, users, _ in cells}
    used: dict[tuple[str, str], set[str]] = {}
    for kind, context in (("secret", "secrets"), ("variable", "vars")):
        for name in WORKFLOWS:
            for setting in named(context, name):
                used.setdefault((kind, setting), set()).add(name)
    assert table == used


def test_the_branch_rules_ask_for_the_check_that_needs_all_others() -> None:
    rules = json.loads((GITHUB / "rulesets" / "main.json").read_text(encoding="utf-8"))["rules"]
    parameters = {rule["type"]: rule.get("parameters", {}) for rule in rules}
    assert parameters["required_status_checks"]["required_status_checks"] == [{"context": "passed"}]
    checks = loaded("ci")["jobs"]
    passed = checks.pop("passed")
    assert passed["name"] == "passed"
    assert passed["if"] == "always()"
    assert {*passed["needs"]} == {*checks}
    for path in (GITHUB / "rulesets").glob("*.json"):
        ruleset = json.loads(path.read_text(encoding="utf-8"))
        assert (ruleset["name"], ruleset["enforcement"]) == (path.stem, "active")
        assert f"`.github/rulesets/{path.name}`" in PAGE


@pytest.mark.parametrize(
    ("results", "passes"),
    [
        ("success success skipped", True),
        ("success failure skipped", False),
        ("cancelled success", False),
        ("success failure", False),
    ],
)
def test_the_last_check_fails_with_any_other(results: str, passes: bool) -> None:
    (step,) = loaded("ci")["jobs"]["passed"]["steps"]
    script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]  # as GitHub runs it
    assert (subprocess.run(script, env={"RESULTS": results}, capture_output=True).returncode == 0) == passes


def test_every_owned_path_exists_or_comes_with_the_images_and_the_cluster() -> None:
    lines = (GITHUB / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    patterns = [line.split()[0] for line in lines if line and not line.startswith("#")]
    missing = [p for p in patterns if p != "*" and not [*ROOT.glob(p.strip("/"))]]
    assert {*missing} <= {"/k8s/"}


def test_a_message_goes_to_the_webhook_whatever_is_in_it() -> None:
    received = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200 if "right" in self.path else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    Thread(target=server.serve_forever, daemon=True).start()
    message = 'Delivery of "c0ffee"\nfailed: C:\\night'
    url = f"http://127.0.0.1:{server.server_port}"

    def notify(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(GITHUB / "notify.sh"), message]
        return subprocess.run(
            command, env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, text=True, timeout=120
        )

    try:
        assert notify(NOTIFY_WEBHOOK=f"{url}/right").stdout == "notify: sent\n"
        assert received == [("/right", {"text": message})]
        wrong = notify(NOTIFY_WEBHOOK=f"{url}/secret-path")
        assert wrong.returncode != 0
        assert "secret-path" not in wrong.stdout + wrong.stderr
        unset = notify()
        assert (unset.returncode, unset.stdout) == (0, "notify: NOTIFY_WEBHOOK is not set, so nobody is told by it\n")
    finally:
        server.shutdown()
        server.server_close()


def test_dependabot_looks_where_dockerfiles_and_packages_are() -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    folders = {update["package-ecosystem"]: update.get("directories") or [update["directory"]] for update in updates}
    assert {*folders} == {"github-actions", "docker", "npm"}
    assert (ROOT / folders["npm"][0].strip("/") / "package-lock.json").exists()
    there = {f"/{path.parent.relative_to(ROOT)}" for path in (ROOT / "docker").glob("*/Dockerfile")}
    assert there <= {*folders["docker"]}


def test_the_page_for_a_gpu_runner_names_its_labels_and_variable() -> None:
    page = (ROOT / "docs" / "gpu-runner.md").read_text(encoding="utf-8")
    (job,) = loaded("gpu")["jobs"].values()
    assert f"--labels {','.join(job['runs-on'][3:])}" in page
    assert named("vars", "gpu") == {"GPU_RUNNER"}
    assert "`GPU_RUNNER`" in page
    assert "refs/heads/main" in job["if"]


def test_the_pages_name_only_files_that_there_are() -> None:
    for page in ("delivery.md", "gpu-runner.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        named = set(re.findall(r"`(\.(?:ci|github)/[\w./-]+)`", text))
        assert [name for name in named if not Path(ROOT / name).exists()] == []
