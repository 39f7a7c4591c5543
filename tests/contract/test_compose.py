"""docker/compose.yaml: valid by the specification's schema, and true: settings, commands, files and ports it names."""

import copy
import json
import os
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from recjobs.cli import cli
from recjobs.config import ROOT, Settings
from tests.compose import FILE, aliases_of, document, services, variables
from webapp.settings import Settings as WebSettings

SCHEMA = json.loads((ROOT / "tests" / "schemas" / "compose-spec" / "compose-spec.json").read_text())
SERVICES = services()
ONCE = {"migrate", "airflow-migrate", "bucket", "first-night"}
SITE_PACKAGES = Path(jsonschema.__file__).parent.parent

OF_OTHERS = {
    "postgres": {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_INITDB_ARGS", "POSTGRES_PASSWORD"},
    "store": {"ROOT_ACCESS_KEY", "ROOT_SECRET_KEY"},
    "postgres-exporter": {"DATA_SOURCE_URI", "DATA_SOURCE_USER", "DATA_SOURCE_PASS"},
    "grafana": {
        "GF_PATHS_PROVISIONING", "GF_ANALYTICS_REPORTING_ENABLED", "GF_ANALYTICS_CHECK_FOR_UPDATES",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "GF_AUTH_ANONYMOUS_ENABLED", "GF_USERS_ALLOW_SIGN_UP",
        "GF_SERVER_ROOT_URL", "GF_SECURITY_ADMIN_USER", "GF_SECURITY_ADMIN_PASSWORD",
    },
}  # fmt: skip
"""What the images of others read, by their documentation: none of them can be asked here."""
LIBRARIES = {
    "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED",
    "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "AIRFLOW_HOME", "HOME",
}  # fmt: skip


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of secrets, as `make compose-up` draws them."""
    folder = tmp_path_factory.mktemp("secrets") / "drawn here"
    subprocess.run(["sh", ROOT / "docker" / "draw-secrets.sh", folder], check=True)
    return folder


def faults(text: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(text)]


def test_the_file_is_valid_and_the_schema_finds_what_is_not():
    assert faults(document()) == []
    for name, key, wrong in (
        ("postgres", "helthcheck", {}),
        ("mlflow", "ports", 5000),
        ("migrate", "depends_on", {"postgres": {"condition": "healthy"}}),
    ):
        broken = copy.deepcopy(document())
        broken["services"][name][key] = wrong
        assert faults(broken), key


@pytest.mark.parametrize("profile", ["dev", "test", "prod"])
def test_docker_reads_it_where_docker_can(profile: str, secrets: Path, tmp_path: Path):
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker compose here")
    shutil.copytree(ROOT / "docker", tmp_path / "docker")
    shutil.copytree(secrets, tmp_path / "docker" / "secrets", dirs_exist_ok=True)
    command = ["docker", "compose", "--file", tmp_path / "docker" / "compose.yaml", "--profile", profile, "config"]
    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_port_is_published_to_this_machine_only():
    published = [(name, str(port)) for name, service in SERVICES.items() for port in service.raw.get("ports", [])]
    assert len(published) > 8
    assert [port for port in published if not port[1].startswith("127.0.0.1:")] == []
    opened = services({"WEBAPP_BIND": "0.0.0.0"})
    assert {
        name for name, service in opened.items() if any("0.0.0.0" in str(p) for p in service.raw.get("ports", []))
    } == {"nginx", "nginx-tls"}
    for profile in ("dev", "test", "prod"):
        ports = [
            str(port).split(":")[-2]
            for service in SERVICES.values()
            if profile in service.profiles
            for port in service.raw.get("ports", [])
        ]
        assert sorted(set(ports)) == sorted(ports), profile


def test_every_setting_is_one_that_its_program_reads(secrets: Path):
    from airflow.configuration import conf

    options = {
        f"AIRFLOW__{section}__{option}".upper()
        for section, described in conf.configuration_description.items()
        for option in described["options"]
    }
    mlflow = SITE_PACKAGES / "mlflow"
    sources = [mlflow / "environment_variables.py", mlflow / "cli" / "__init__.py", mlflow / "server" / "__init__.py"]
    of_mlflow = set(re.findall(r"\bMLFLOW_[A-Z_]+", "\n".join(path.read_text() for path in sources)))
    of_recjobs = {str(field.alias) for field in Settings.model_fields.values()}
    of_webapp = {str(field.alias) for field in WebSettings.model_fields.values()}
    of_webapp |= {"RECJOBS_WEB_URL", "RECJOBS_STATE", "STATSD_HOST", "STATSD_PORT"}
    scripts = "\n".join(path.read_text() for path in sorted((ROOT / "docker" / "setup").iterdir()))
    of_scripts = set(re.findall(r"\bAIRFLOW_[A-Z]+(?:_[A-Z]+)*\b", scripts))
    script = (ROOT / "docker" / "logins.sh").read_text()
    of_logins = set(re.findall(r"^\\getenv \w+ (\w+)", script, re.MULTILINE))

    wrong = []
    for name, service in SERVICES.items():
        if name.startswith("webapp"):
            known = of_webapp
        elif "jobs" in service.raw["image"]:
            known = options | of_mlflow | of_recjobs | of_scripts
        else:
            known = OF_OTHERS.get(name, set()) | (of_logins if name == "postgres" else set())
        wrong += [f"{name}: {key}" for key in service.environment(secrets) if key not in known | LIBRARIES]
    assert wrong == []
    assert of_logins <= set(SERVICES["postgres"].environment(secrets))
    assert "AIRFLOW__CORE__EXECUTOR" in options
    assert "AIRFLOW__CORE__EXECUTER" not in options
    assert "MLFLOW_BACKEND_STORE_URI" in of_mlflow


def test_every_command_and_every_file_that_it_names_exists():
    for name, service in SERVICES.items():
        argv = service.argv
        if argv[:1] == ["recjobs"]:
            assert argv[1] in cli.commands, name
        if "/setup" in " ".join(argv):
            script = next(word for word in argv if word.startswith("/setup/"))
            assert (ROOT / "docker" / script.removeprefix("/")).is_file(), name
            assert "./setup:/setup:ro" in service.raw["volumes"], name
        for volume in service.raw.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith(".") and source not in {"./tls", "../data", "../grafana"}:
                assert (ROOT / "docker" / source).exists(), f"{name}: {source}"
        if build := service.raw.get("build"):
            assert build["context"] == ".."
            assert re.fullmatch(r"docker/[\w-]+/Dockerfile", build["dockerfile"]), name
            known = re.findall(r"^ARG (\w+)", (ROOT / build["dockerfile"]).read_text(), re.MULTILINE)
            assert set(build["args"]) == {"REVISION"} <= set(known), name


def test_there_is_no_default_password(secrets: Path):
    text = FILE.read_text()
    assert re.findall(r"(?i)^\s+\w*(?:password|secret|token|_pass|fernet_key|access_key)\w*:\s*\S", text, re.M) == []
    assert re.findall(r"://[^/\s:]+:[^/\s@]+@", text) == []
    drawn = dict(line.split("=", 1) for line in (secrets / "drawn").read_text().splitlines())
    assert len(set(drawn.values())) == len(drawn) >= 20
    assert all(re.fullmatch(r"[0-9a-f]{48,64}", value) for value in drawn.values())
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o600}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700


def test_drawn_again_nothing_changes_and_what_is_missing_is_added(secrets: Path):
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    lines = before["drawn"].splitlines()
    (secrets / "drawn").write_text("".join(f"{line}\n" for line in lines if not line.startswith("EXPORTER=")))
    (secrets / "postgres-exporter.env").unlink()
    subprocess.run(["sh", ROOT / "docker" / "draw-secrets.sh", secrets], check=True)
    entry = f"bob:{'0' * 64}"
    (secrets / "api-keys").write_text(f"# the shop's, until June\n{entry}\n")
    subprocess.run(["sh", ROOT / "docker" / "draw-secrets.sh", secrets], check=True)
    after = {path.name: path.read_text() for path in secrets.iterdir()}
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"drawn", "postgres.env", "postgres-exporter.env", "api-keys", "webapp.env"}
    assert f"RECJOBS_API_KEYS= {entry} \n" in after["webapp.env"]
    subprocess.run(["sh", ROOT / "docker" / "draw-secrets.sh", secrets], check=True)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == after


def test_a_service_gets_no_secret_that_it_does_not_need(secrets: Path):
    named = {Path(file).name for service in SERVICES.values() for file in service.raw.get("env_file", [])}
    assert named == {path.name for path in secrets.iterdir()} - {"drawn", "sign-in", "api-keys", "operators"}
    holders = {
        secret: {name for name, service in SERVICES.items() if service.environment(secrets).keys() & {secret}}
        for secret in ("POSTGRES_PASSWORD", "RECJOBS_DATABASE_URL", "RECJOBS_LOADER_URL", "AWS_SECRET_ACCESS_KEY")
    }
    assert holders == {
        "POSTGRES_PASSWORD": {"postgres"},
        "RECJOBS_DATABASE_URL": {"migrate"},
        "RECJOBS_LOADER_URL": {"airflow-scheduler"},
        "AWS_SECRET_ACCESS_KEY": {"airflow-scheduler", "bucket", "mlflow"},
    }


def test_what_is_waited_for_can_come_about():
    for name, service in SERVICES.items():
        if name not in ONCE | {"jaeger"}:
            assert service.raw["healthcheck"]["test"][0] == "CMD", name
        for needed, how in service.raw.get("depends_on", {}).items():
            finished = "service_completed_successfully" if needed in ONCE else "service_healthy"
            assert how == {"condition": finished}, f"{name} -> {needed}"
            assert service.profiles <= SERVICES[needed].profiles, f"{name} -> {needed}: no profile starts both"
    assert {name for name in SERVICES if SERVICES[name].raw["restart"] == "no"} == ONCE


def test_the_profiles_are_everything_without_monitoring_and_without_tools():
    of = {p: {n for n, s in SERVICES.items() if p in s.profiles} for p in ("dev", "test", "prod")}
    assert of["dev"] - of["test"] == {
        "statsd-exporter", "prometheus", "alertmanager", "grafana", "node-exporter", "postgres-exporter", "jaeger",
    }  # fmt: skip
    assert of["test"] < of["dev"]
    assert (of["dev"] - of["prod"], of["prod"] - of["dev"]) == ({"jaeger", "nginx"}, {"nginx-tls"})
    assert set(SERVICES) - of["dev"] - of["prod"] == {"first-night"}


def test_images_have_tags_state_has_named_volumes_and_nothing_else_is_written_to():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, service in SERVICES.items():
        image = service.raw["image"]
        assert re.search(r":v?\d+(\.\d+)+$", image), image
        assert "recjobs" not in image or image.endswith(f":{version}"), image
        assert service.raw["read_only"], name
        assert service.raw["cap_drop"] == ["ALL"], name
    named = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.raw.get("volumes", [])
        if re.match(r"\w", volume)
    }
    assert named == set(document()["volumes"])


def test_the_proxy_knows_each_replica_by_the_address_that_it_has():
    named = dict(re.findall(r"server (webapp-\d):(8000)\b", (ROOT / "docker" / "nginx.conf").read_text()))
    for proxy in ("nginx", "nginx-tls"):
        assert SERVICES[proxy].raw["extra_hosts"] == {
            name: SERVICES[name].raw["networks"]["default"]["ipv4_address"] for name in named
        }
    hosts = SERVICES["webapp-1"].raw["environment"]["WEBAPP_HOSTS"].split()
    assert set(named) <= set(WebSettings(database_url="x", WEBAPP_HOSTS=" ".join(hosts)).allowed_hosts)


def test_prometheus_finds_what_compose_starts_by_names_that_there_are():
    config = yaml.safe_load((ROOT / "grafana" / "prometheus.yaml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    names = {name for job in jobs.values() for each in job.get("dns_sd_configs", []) for name in each["names"]}
    known = {
        alias: {n for n, s in SERVICES.items() if alias in {n, *aliases_of(s)}}
        for alias in {each for name, service in SERVICES.items() for each in (name, *aliases_of(service))}
    }
    assert known["webapp"] == {name for name in SERVICES if name.startswith("webapp-")}
    assert names - known.keys() == {"cadvisor", "kube-state-metrics", "dcgm-exporter"}, "what a cluster has"
    [alertmanager] = config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    [exporter] = jobs["statsd-exporter"]["static_configs"][0]["targets"]
    assert {alertmanager.split(":")[0], exporter.split(":")[0]} <= known.keys()


def test_every_variable_of_the_file_is_explained():
    page = (ROOT / "docs" / "deploying.md").read_text()
    assert [name for name in sorted(variables()) if f"`{name}`" not in page] == []


def test_without_compose_or_a_certificate_the_command_says_so(tmp_path: Path):
    script = shutil.copytree(ROOT / "docker", tmp_path / "docker") / "compose.sh"
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin" / "docker"
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"

    def up(profile: str, answer: int, verb: str = "up", says: str = "", **settings: str) -> tuple[int, str]:
        docker.write_text(f"#!/bin/sh\n{says}\nexit {answer}\n")
        docker.chmod(0o755)
        environment = {"PATH": path} | settings
        done = subprocess.run(
            ["sh", script, verb, profile], env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    for verb in ("up", "down"):
        code, message = up("dev", 1, verb)
        assert (code, "docker has no `compose`" in message) == (69, True)
        code, message = up("dev", 0, verb, "[ $1 != info ] || { echo Cannot connect >&2; exit 1; }")
        assert (code, "no Docker engine answers (`docker info`: Cannot connect)" in message) == (69, True)
        assert "`make demo`" in message
        code, message = up("dev", 0, verb, "echo v2.9.0")
        assert (code, message) == (69, "docker has Compose 2.9.0: install 2.24 or newer\n")
        assert up("prod", 0, "down", "echo 2.24.0")[0] == up("prod", 0, "down", "echo v5.1.0")[0] == 0
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    command = [tools / "sh", script, "up"]
    done = subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert (done.returncode, "docker is not installed" in done.stderr) == (69, True)
    code, message = up("prod", 0)
    assert (code, "fullchain.pem is not there" in message) == (78, True)
    tls = tmp_path / "docker" / "tls"
    tls.mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tls / name).touch()
    assert up("prod", 0, WEBAPP_URL="http://lists.example.com")[0] == 78
    assert up("production", 0)[0] == 64
    assert not (tmp_path / "docker" / "secrets").exists()


def test_traces_go_to_jaeger_where_they_are_on(secrets: Path):
    for name in ("webapp-1", "airflow-scheduler"):
        assert SERVICES[name].environment(secrets)["OTEL_TRACES_EXPORTER"] == "none"
        on = services({"OTEL_TRACES_EXPORTER": "otlp"})[name].environment(secrets)
        assert on["OTEL_TRACES_EXPORTER"] == "otlp"
        assert on["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://jaeger:4318"
    assert SERVICES["jaeger"].profiles == {"dev"}


def test_up_migrates_then_replaces_one_replica_after_the_other_then_runs_the_first_night(tmp_path: Path):
    script = shutil.copytree(ROOT / "docker", tmp_path / "docker") / "compose.sh"
    (tmp_path / "bin").mkdir()
    docker, calls = tmp_path / "bin" / "docker", tmp_path / "calls"
    docker.write_text(
        f'#!/bin/sh\necho "$@" "statsd=${{STATSD_HOST-unset}}" "traces=${{OTEL_TRACES_EXPORTER-unset}}" >> "{calls}"\n'
        f'case "$*" in *" build "*) echo "$RECJOBS_COMMIT" > "{tmp_path / "commit"}" ;; esac\n'
    )
    docker.chmod(0o755)

    def up(profile: str, **settings: str) -> tuple[list[str], str]:
        calls.write_text("")
        environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"} | settings
        command = ["sh", script, "up", profile]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return calls.read_text().splitlines()[2:], done.stdout

    def in_order(profile: str, statsd: str, *, pulled: bool, night: bool) -> list[str]:
        steps = [
            "pull --quiet" if pulled else "build --quiet",
            "up --detach --wait postgres",
            "exec --no-TTY postgres sh /docker-entrypoint-initdb.d/logins.sh",
            "run --rm --no-deps migrate",
            *(f"up --detach --wait --no-deps webapp-{n}" for n in (1, 2, 3)),
            "up --detach --wait",
            *(["--profile first-night run --rm --no-deps first-night"] if night else []),
        ]
        traces = "otlp" if profile == "dev" else "unset"
        return [f"compose --profile {profile} {step} statsd={statsd} traces={traces}" for step in steps]

    made, said = up("dev", RECJOBS_COMMIT="c0ffee")
    assert (tmp_path / "commit").read_text() == "c0ffee\n"
    assert made == in_order("dev", "unset", pulled=False, night=True)
    assert "http://127.0.0.1:16686" in said
    drawn = (tmp_path / "docker" / "secrets" / "drawn").read_text()
    made, said = up("test")
    assert made == in_order("test", "", pulled=False, night=True)
    assert "Grafana" not in said
    (tmp_path / "docker" / "tls").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "docker" / "tls" / name).touch()
    (tmp_path / "docker" / ".env").write_text("RECJOBS_TAG=0.2.0\nWEBAPP_URL=https://lists.example.com\n")
    made, said = up("prod")
    assert made == in_order("prod", "unset", pulled=True, night=False)
    assert "https://lists.example.com/v1" in said
    assert "16686" not in said
    assert (tmp_path / "docker" / "secrets" / "drawn").read_text() == drawn
