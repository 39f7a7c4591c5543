"""`.github/deploy.sh` against a real remote: releases, promotion of the same digest, acceptance and the way back."""

import subprocess
from pathlib import Path

import pytest

from tests.commands import ROOT
from tests.replicas import Replica
from tests.webapp_world import World

pytest_plugins = ["tests.webapp_fixtures"]

WEBAPP = "ghcr.io/recjobs/recjobs-webapp"
JOBS = "ghcr.io/recjobs/recjobs-jobs"
OVERLAY = f"""# By the pipeline.
images:
  - name: {WEBAPP}
    newTag: 0.1.0
  - name: {JOBS}
    newTag: 0.1.0
"""
VALUES = "# By the pipeline.\ndefaultAirflowTag: 0.1.0\n"


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


class Repository:
    """A clone with its remote, in which each commit changes the product."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.remote = folder / "clone", folder / "remote.git"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.remote), cwd=folder)
        self.git("clone", "--quiet", str(self.remote), str(self.folder), cwd=folder)
        self.git("config", "user.name", "pipeline")
        self.git("config", "user.email", "pipeline@example.org")
        for environment in ("staging", "production"):
            self.write(f"k8s/overlays/{environment}/kustomization.yaml", OVERLAY)
            self.write(f"k8s/airflow/values-{environment}.yaml", VALUES)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.folder, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, product: str) -> str:
        self.write("product", product)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", product)
        self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def images(self, letter: str) -> str:
        self.write("../images", f"{WEBAPP}@{digest(letter)}\n{JOBS}@{digest(letter)}\n{JOBS}-gpu@{digest(letter)}\n")
        return "../images"

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / ".github" / "deploy.sh"), *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)

    def must(self, *arguments: str) -> str:
        done = self.deploy(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def deployed(self, environment: str, name: str | None = None) -> str:
        """A file as Argo CD finds it; by default the overlay."""
        name = name or f"k8s/overlays/{environment}/kustomization.yaml"
        return self.git("show", f"deploy/{environment}:{name}", cwd=self.remote)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_release_is_the_tree_of_its_commit_with_the_digests_in_its_overlay(repository: Repository) -> None:
    commit = repository.commit("one")
    repository.commit("two, of which nothing is deployed")
    assert repository.must("release", "staging", commit, repository.images("a")) == (
        f"staging: deploy: {commit[:12]} to staging"
    )
    assert repository.deployed("staging") == OVERLAY.replace("newTag: 0.1.0", f"digest: {digest('a')}").strip()
    assert repository.deployed("staging", "k8s/airflow/values-staging.yaml").endswith(
        f"defaultAirflowDigest: {digest('a')}"
    )
    assert repository.deployed("staging", "product") == "one"
    assert repository.deployed("staging", "k8s/overlays/production/kustomization.yaml") == OVERLAY.strip()
    assert repository.git("worktree", "list").count("\n") == 0
    assert repository.git("show", "main:product", cwd=repository.remote) == "two, of which nothing is deployed"


def test_only_what_staging_accepted_is_promoted_and_by_the_same_digests(repository: Repository) -> None:
    first = repository.commit("one")
    repository.must("release", "staging", first, repository.images("a"))
    refused = repository.deploy("promote", first)
    assert (refused.returncode, refused.stderr) == (
        65,
        f"deploy: staging has not accepted {first[:12]}: nothing to promote\n",
    )
    repository.must("accept", "staging")
    second = repository.commit("two")
    repository.must("release", "staging", second, repository.images("b"))
    assert repository.deploy("promote", second).returncode == 65
    repository.git("tag", "v1", first)
    repository.must("promote", "v1")
    production = repository.deployed("production")
    assert production == OVERLAY.replace("newTag: 0.1.0", f"digest: {digest('a')}").strip()
    assert repository.deployed("production", "product") == "one"


def test_a_failed_acceptance_goes_back_to_what_was_accepted_before_not_to_what_was_before(
    repository: Repository,
) -> None:
    good = repository.commit("good")
    repository.must("release", "staging", good, repository.images("a"))
    repository.must("accept", "staging")
    for letter in "bc":
        repository.must("release", "staging", repository.commit(f"bad {letter}"), repository.images(letter))
    assert repository.must("back", "staging") == f"staging: deploy: back to {good[:12]} in staging"
    assert digest("a") in repository.deployed("staging")
    assert repository.deployed("staging", "product") == "good"
    history = repository.git("log", "--format=%s", "deploy/staging", cwd=repository.remote).splitlines()
    assert len(history) == 4, "the branch only moves on"
    better = repository.commit("better")
    repository.must("release", "staging", better, repository.images("d"))
    assert repository.must("back", "staging").startswith(f"staging: deploy: back to {good[:12]}")


def test_without_an_accepted_deployment_there_is_no_way_back(repository: Repository) -> None:
    assert repository.deploy("back", "staging").stderr == "deploy: nothing is deployed to staging\n"
    repository.must("release", "staging", repository.commit("one"), repository.images("a"))
    done = repository.deploy("back", "staging")
    assert (done.returncode, done.stderr) == (65, "deploy: staging has accepted nothing before: it stays as it is\n")
    assert digest("a") in repository.deployed("staging")


def test_another_clone_goes_on_from_what_is_deployed(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit("one")
    repository.must("release", "staging", commit, repository.images("a"))
    repository.must("accept", "staging")
    repository.git("clone", "--quiet", str(repository.remote), str(tmp_path / "another"), cwd=tmp_path)
    repository.folder = tmp_path / "another"
    repository.git("config", "user.name", "pipeline")
    repository.git("config", "user.email", "pipeline@example.org")
    repository.must("promote", commit)
    assert digest("a") in repository.deployed("production")


def test_who_was_overtaken_is_refused_with_75(repository: Repository) -> None:
    commit = repository.commit("one")
    repository.must("release", "staging", commit, repository.images("a"))
    hook = repository.remote / "hooks" / "update"
    hook.write_text("#!/bin/sh\n[ $1 != refs/heads/deploy/staging ]\n")
    hook.chmod(0o755)
    done = repository.deploy("release", "staging", commit, repository.images("b"))
    assert done.returncode == 75
    assert "deploy: deploy/staging was moved by somebody else" in done.stderr
    assert repository.git("worktree", "list").count("\n") == 0


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (f"{WEBAPP}:0.1.0\n", f"'{WEBAPP}:0.1.0' is not NAME@sha256:DIGEST"),
        (f"{WEBAPP}@{digest('a')}\n", "k8s/overlays/staging/kustomization.yaml has an image without a digest"),
    ],
)
def test_a_release_without_every_digest_is_refused(repository: Repository, images: str, said: str) -> None:
    commit = repository.commit("one")
    repository.write("../images", images)
    done = repository.deploy("release", "staging", commit, "../images")
    assert (done.returncode, done.stderr) == (65, f"deploy: {said}\n")
    assert repository.git("branch", "--list", "deploy/*", cwd=repository.remote) == ""


def test_an_unknown_environment_or_command_is_refused(repository: Repository) -> None:
    commit = repository.commit("one")
    done = repository.deploy("release", "moon", commit, repository.images("a"))
    assert (done.returncode, done.stderr) == (65, "deploy: there is no k8s/overlays/moon/kustomization.yaml\n")
    assert repository.deploy("release", "staging").returncode == 64
    assert repository.deploy("fetch").returncode == 64
    assert repository.deploy().returncode == 64


def test_waiting_ends_when_the_web_app_answers_as_the_commit_and_not_before(world: World, tmp_path: Path) -> None:
    commit = "c0ffee" + "0" * 34
    replica = Replica(world, "deployed", tmp_path, RECJOBS_COMMIT=commit)
    url = f"http://127.0.0.1:{replica.port}"
    deploy = [str(ROOT / ".github" / "deploy.sh"), "wait", url]
    waiting = subprocess.Popen([*deploy, commit, "300"], stdout=subprocess.PIPE, text=True)  # begins before it is up
    try:
        replica.wait_until_ready()
        assert waiting.communicate(timeout=400)[0] == f"{url} answers as {commit[:12]}\n"
        other = subprocess.run([*deploy, "f" * 40, "1"], capture_output=True, text=True, timeout=60)
        assert other.returncode == 75
        assert f"{url} does not answer as {'f' * 12} after 1 s; the last answer: {{" in other.stderr
    finally:
        waiting.kill()
        assert replica.stop() == 0
