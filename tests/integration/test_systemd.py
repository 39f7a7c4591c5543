"""One machine without containers: the units of systemd/ are valid, and their commands as they stand, with their
environment files, TLS and the distribution's own PostgreSQL, make a night and serve it."""

import os
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from local import ports
from recjobs.config import ROOT, Settings
from tests.as_processes import Processes, make_cluster, program
from tests.integration.test_postgres_of_the_distribution import binaries
from webapp.settings import Settings as WebSettings

UNITS = {path.name: path.read_text() for path in sorted((ROOT / "systemd").glob("recjobs*"))}
STAY = [
    "recjobs-airflow-api-server", "recjobs-airflow-scheduler", "recjobs-airflow-dag-processor",
    "recjobs-webapp@1", "recjobs-webapp@2", "recjobs-webapp@3", "recjobs-nginx",
]  # fmt: skip
"""In the order of their After=."""


def values(unit: str, key: str) -> list[str]:
    """What a unit says for a key, an instance's number filled in."""
    name, _, number = unit.partition("@")
    text = UNITS[f"{name}@.service" if number else f"{unit}.service"]
    return [value.replace("%i", number) for value in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)]


def verified(folder: Path, units: dict[str, str]) -> str:
    """What `systemd-analyze verify` has against these units, of a checkout that lies here."""
    folder.mkdir()
    stub = "[Unit]\nDescription=another's\n[Service]\nExecStart=/bin/true\n"
    for name, text in (units | {"docker.service": stub, "postgresql.service": stub}).items():
        text = text.replace("/opt/recjobs", str(ROOT)).replace("/usr/sbin/nginx", "/bin/true")
        for instance in (name.replace("@", f"@{n}") for n in ((1, 2, 3) if "@" in name else (0,))):
            (folder / instance).write_text(text)
    ours = sorted(path for path in folder.iterdir() if path.name.startswith("recjobs"))
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", "--man=no", *ours],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr + ("" if done.returncode == 0 else f"exit {done.returncode}")


def test_the_units_are_valid_and_a_mistake_in_one_is_found(tmp_path: Path):
    assert verified(tmp_path / "ours", UNITS) == ""
    webapp = UNITS["recjobs-webapp@.service"]
    for n, (old, new, found) in enumerate(
        (
            ("RestartSec=5", "RestartSecs=5", "Unknown key 'RestartSecs'"),
            ("bin/python -m", "bin/pyhton -m", "is not executable"),
        )
    ):
        assert old in webapp
        broken = UNITS | {"recjobs-webapp@.service": webapp.replace(old, new)}
        assert found in verified(tmp_path / str(n), broken)


def test_recjobs_reads_the_catalogs_beside_the_secrets_and_no_secret():
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("makes files of another user, as root")
    page = (ROOT / "docs" / "deploying.md").read_text().split("## One machine, without containers")[1]
    wanted = ("install --directory", "sh docker/draw-secrets.sh", "cp systemd/settings.env")
    lines = [line.strip() for line in page.splitlines() if line.strip().startswith(wanted)]
    assert len(lines) == len(wanted)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "etc"
        Path(name).chmod(0o755)
        script = "\n".join(lines).replace("/etc/recjobs", str(folder)).replace("--group recjobs", "--group nogroup")
        subprocess.run(["sh", "-euc", f"umask 022\n{script}"], cwd=ROOT, check=True)

        def reads(file: str) -> bool:
            command = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "cat", folder / file]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

        assert reads("catalogs/sample.yaml")
        assert [path.name for path in folder.glob("*.env") if reads(path.name)] == ["settings.env"]
        assert not reads("sign-in")


def test_every_setting_is_one_that_is_read():
    text = (ROOT / "systemd" / "settings.env").read_text()
    named = set(re.findall(r"^(\w+)=", text, re.MULTILINE))
    known = {str(field.alias) for model in (Settings, WebSettings) for field in model.model_fields.values()}
    assert {n for n in named - known if not n.startswith("AIRFLOW__")} == {"PATH", "AIRFLOW_HOME"}
    files = {Path(file).name for unit in UNITS.values() for file in re.findall(r"^EnvironmentFile=(.*)$", unit, re.M)}
    script = (ROOT / "docker" / "draw-secrets.sh").read_text()
    assert [name for name in sorted(files) if name != "settings.env" and f"write {name} <<" not in script] == []


@pytest.mark.soak
@pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="Airflow takes minutes to start and to run a night")
def test_the_commands_as_they_stand_make_a_night_and_serve_it_by_tls(tmp_path: Path):
    tmp_path.chmod(0o755)
    secrets, state, postgres = tmp_path / "etc", tmp_path / "state", ports.any_free()
    web = {n: ports.any_free() for n in (1, 2, 3)}
    api, plain, tls = ports.any_free(), ports.any_free(), ports.any_free()
    for folder in (state / "airflow", state / "data", secrets / "catalogs", secrets / "nginx", tmp_path / "run"):
        folder.mkdir(parents=True)
    subprocess.run(["sh", ROOT / "docker" / "draw-secrets.sh", secrets, "127.0.0.1"], check=True)
    shutil.copy(ROOT / "catalogs" / "sample.yaml", secrets / "catalogs")
    shutil.copy(ROOT / "systemd" / "settings.env", secrets)
    table = {
        "127.0.0.1:5432": f"127.0.0.1:{postgres}",
        "127.0.0.1:8080": f"127.0.0.1:{api}",
        "--port 8080": f"--port {api}",
        **{f"800{n}": str(port) for n, port in web.items()},
        "listen 8080": f"listen 127.0.0.1:{plain}",
        "listen 8443": f"listen 127.0.0.1:{tls}",
        "/opt/recjobs": str(ROOT),
        "/etc/recjobs": str(secrets),
        "/etc/nginx/tls": str(secrets / "nginx"),
        "/var/lib/recjobs": str(state),
        "/run/recjobs-nginx": str(tmp_path / "run"),
        "/usr/sbin/nginx": program("nginx", "nginx-light"),
        "https://lists.example.com": "https://localhost",
    }
    processes = Processes(tmp_path, table)

    # As docs/deploying.md says: the certificate, nginx's configuration, the databases.
    certificate = secrets / "nginx" / "fullchain.pem"
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command += f" -keyout {secrets}/nginx/privkey.pem -out {certificate}"
    subprocess.run([program("openssl", "openssl"), *command.split()], check=True, capture_output=True)
    proxy = (ROOT / "docker" / "nginx.conf").read_text()
    proxy = re.sub(r"webapp-([123]):8000", r"127.0.0.1:800\1", proxy)
    (secrets / "nginx" / "tls.d").mkdir()
    (secrets / "nginx" / "nginx.conf").write_text(processes.here(proxy))
    (secrets / "nginx" / "tls.d" / "tls.conf").write_text(
        processes.here((ROOT / "docker" / "nginx-tls.conf").read_text())
    )
    programs = binaries()
    drawn = environment_of_files(secrets, ["/etc/recjobs/postgres.env"])
    prefix = make_cluster(programs, tmp_path, drawn["POSTGRES_PASSWORD"], ["--locale=C.UTF-8"])
    server = [programs / "postgres", "-D", tmp_path / "postgres" / "data", "-k", tmp_path / "postgres"]
    server += ["-c", f"port={postgres}", "-c", "listen_addresses=127.0.0.1"]
    reach = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres), "PGPASSWORD": drawn["POSTGRES_PASSWORD"]}
    try:
        processes.start("postgres", [str(word) for word in server], {}, prefix)
        ready = [str(programs / "pg_isready"), "--host=127.0.0.1", f"--port={postgres}"]
        processes.wait_until_healthy("postgres", ready, {})
        processes.run("logins", ["sh", str(ROOT / "docker" / "logins.sh")], drawn | reach)
        migrate = "recjobs-migrate"
        for _ in ("the first boot", "the next one"):
            for line in values(migrate, "ExecStart"):
                settings = environment_of_files(secrets, values(migrate, "EnvironmentFile"))
                processes.run(migrate, line.split(), settings)
        for unit in STAY:
            settings = environment_of_files(secrets, values(unit, "EnvironmentFile"))
            settings |= dict(line.split("=", 1) for line in values(unit, "Environment"))
            for line in values(unit, "ExecStartPre"):
                processes.run(unit, processes.here(line).split(), settings)
            processes.start(unit, processes.here(values(unit, "ExecStart")[0]).split(), settings)
            if "webapp" in unit:
                processes.wait_for_status(unit, f"http://127.0.0.1:{web[int(unit[-1])]}/healthz")
            if unit == STAY[0]:
                processes.wait_for_status(unit, f"http://127.0.0.1:{api}/api/v2/monitor/health")
        admin = environment_of_files(secrets, ["/etc/recjobs/airflow-admin.env"])
        night = ["python", str(ROOT / "docker" / "setup" / "first_night.py"), "sample"]
        out = processes.run("first-night", night, admin | {"AIRFLOW_URL": f"http://127.0.0.1:{api}"}, 2000)
        assert out == "the first night of sample is live\n"

        trusted = ssl.create_default_context(cafile=str(certificate))
        key = re.search(r"API key:\s+(\S+)", (secrets / "sign-in").read_text())
        assert key
        url = f"https://localhost:{tls}/v1/sample/recommendations?user_id=C1000&n=5"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key[1]}"})
        with urllib.request.urlopen(request, context=trusted, timeout=30) as answer:
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
            assert answer.read().count(b'"item_id"') == 5
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(url, timeout=30)
        assert _location(f"http://127.0.0.1:{plain}/v1?x=1") == (308, "https://127.0.0.1/v1?x=1")
        assert _location(f"http://127.0.0.1:{plain}/healthz")[0] == 200
    finally:
        processes.stop()


def environment_of_files(secrets: Path, files: list[str]) -> dict[str, str]:
    """What systemd reads from these files."""
    found: dict[str, str] = {}
    for file in files:
        lines = (secrets / Path(file).name).read_text().splitlines()
        found |= dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _location(url: str) -> tuple[int, str]:
    try:
        with urllib.request.build_opener(_NoRedirect).open(url, timeout=30) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Location"]
