"""An embedded PostgreSQL: one server, three databases (recjobs, airflow, mlflow), one password a role.

    cluster = Cluster(state=Path(".local"), port=5433)
    cluster.start()                              # idempotent: creates what is missing, repairs what is stale
    cluster.url("recjobs_reader", "recjobs")     # postgresql://recjobs_reader:...@/recjobs?host=...&port=5433
    cluster.stop()

Clients connect by a Unix socket, or by TCP on 127.0.0.1; both need the role's password (scram-sha-256), which is random
and stored in `<state>/pgpass` (mode 0600).
"""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psutil

from local import ports, postgres_binaries, postgres_contents, socket_folder
from local.errors import LocalError
from local.files import write_private
from recjobs.config import ROLES

ADMIN = "admin"
OWNERS = {"recjobs": ADMIN, "airflow": "airflow", "mlflow": "mlflow"}
"""Each database and the role it belongs to. Airflow and MLflow both want a table `alembic_version`, hence three."""

RECJOBS_ROLES = (
    "recjobs_migrator", "recjobs_loader", "recjobs_publisher", "recjobs_reader", "recjobs_editor", "recjobs_web"
)  # fmt: skip
"""The logins of `recjobs.config.ROLES`, in their order."""

SERVER_SETTINGS = {
    "listen_addresses": ports.HOST,
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "reserved_connections": "10",  # for rolling back, publishing and migrating, whoever holds the others
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_permissions": "0700",
}

HBA = """# Who may connect, and how. Written anew at each start.
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""

START_SECONDS = 60
STOP_SECONDS = 30


class Cluster:
    """A PostgreSQL server whose files lie in `<state>/postgres` and which listens on `port`."""

    def __init__(self, state: Path, port: int) -> None:
        self.state = state.absolute()
        self.port = port
        self.home = self.state / "postgres"
        self.data = self.home / "data"
        self.log = self.home / "postgres.log"
        self.pgpass = self.state / "pgpass"
        self.hba = self.state / "pg_hba.conf"

    def start(self) -> None:
        """Start the server, making it first if need be; return when all roles and databases are there.

        Raises `PortTaken` if another program has the port, `LocalError` with the end of the server's log otherwise.
        """
        binaries = postgres_binaries.find()
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        runner = postgres_binaries.identity(binaries, self.state)
        runner.own(self.home)
        if self.postmaster() and (int(self._pid_file()[3]) != self.port or not self._socket().exists()):
            self.stop()  # it listens on another port, or where this checkout was before it was moved
        is_running = self.postmaster() is not None
        if not is_running:
            ports.require_free(self.port, "POSTGRES_PORT")
            self._initialise(binaries, runner)
        if not self.pgpass.exists():
            raise LocalError(
                f"{self.pgpass} with the passwords is gone: put it back, or remove {self.home} to begin anew"
            )
        if not is_running:
            self._launch(binaries, runner)
        self._add_passwords()
        postgres_contents.fill(self.url(ADMIN, "postgres"), self._passwords(), OWNERS, ADMIN)

    def stop(self) -> None:
        """Stop the server and wait until all its processes are gone; nothing happens if it does not run."""
        if postmaster := self.postmaster():
            for name, seconds in (("SIGINT", STOP_SECONDS), ("SIGQUIT", 5), ("SIGKILL", 5)):
                _signal(postmaster, name)
                if not psutil.wait_procs([postmaster], timeout=seconds)[1]:
                    break
        stragglers = self.processes()
        for process in stragglers:
            _signal(process, "SIGKILL")
        psutil.wait_procs(stragglers, timeout=5)
        socket_folder.remove(self.home)

    def postmaster(self) -> psutil.Process | None:
        """Return the server's process if it runs. A stale or recycled pid is not mistaken for it."""
        try:
            process = psutil.Process(int(self._pid_file()[0]))
            command = process.cmdline()
        except (OSError, IndexError, ValueError, psutil.Error):
            return None
        with contextlib.suppress(psutil.Error):  # the command keeps the path of a checkout that was moved since
            if process.cwd() == str(self.data.resolve()):
                return process
        return process if str(self.data) in command else None

    def url(self, role: str = ADMIN, database: str = "recjobs", scheme: str = "postgresql") -> str:
        """Return the connection URL of `role`, over the Unix socket, with its password.

        SQLAlchemy takes plain `postgresql` for psycopg 3 since 2.1; it needs the scheme `postgresql+psycopg2`.
        """
        password = self._passwords()[role]
        folder = quote(str(socket_folder.of(self.home)), safe="")
        return f"{scheme}://{role}:{password}@/{database}?host={folder}&port={self.port}"

    def urls(self) -> dict[str, str]:
        """Return the settings that lead recjobs, its web app and MLflow to this server."""
        return {
            "RECJOBS_DATABASE_URL": self.url(),
            **{f"RECJOBS_{name.upper()}_URL": self.url(role) for name, role in zip(ROLES, RECJOBS_ROLES, strict=True)},
            "MLFLOW_TRACKING_URI": self.url("mlflow", "mlflow", "postgresql+psycopg2"),
        }

    def _initialise(self, binaries: Path, runner: postgres_binaries.Identity) -> None:
        if (self.data / "PG_VERSION").exists():
            made_by = (self.data / "PG_VERSION").read_text().strip()
            offered = postgres_binaries.major_version(binaries)
            if made_by != str(offered):
                raise LocalError(
                    f"{self.data} was made by PostgreSQL {made_by}, {binaries} is {offered}: "
                    f"put {made_by} first on the PATH, or remove {self.home} to start over"
                )
            return
        # initdb writes to a folder that is renamed at the end: one that a kill left is deleted.
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self.pgpass.unlink(missing_ok=True)
        self._add_passwords()
        password_file = self.home / "password"
        write_private(password_file, self._passwords()[ADMIN])
        os.chown(password_file, runner.uid, runner.gid)
        locale = "--locale=C.UTF-8"
        if postgres_binaries.major_version(binaries) >= 17:
            locale = "--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C"  # needs no locale of the machine
        command = f"initdb -U {ADMIN} -A scram-sha-256 -E UTF8 {locale}".split()
        try:
            self._run(binaries, runner, [*command, f"--pwfile={password_file}", "-D", str(unfinished)])
        finally:
            password_file.unlink()
        unfinished.rename(self.data)

    def _launch(self, binaries: Path, runner: postgres_binaries.Identity) -> None:
        folder = socket_folder.of(self.home)
        socket_folder.make(folder, runner)
        # Beside the server's folder and not its user's: as `nobody`, that may be another program's user as well.
        write_private(self.hba, HBA)
        self.hba.chmod(0o644)
        folders = '"' + str(folder).replace('"', '""') + '"'  # a list, in which a comma would end the folder
        settings = SERVER_SETTINGS | {"port": str(self.port), "unix_socket_directories": folders}
        settings["hba_file"] = str(self.hba)
        if postgres_binaries.major_version(binaries) < 16:
            del settings["reserved_connections"]
        options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
        command = f"pg_ctl start -w -t {START_SECONDS}".split()
        # Relative to the folder it runs in: pg_ctl gives them to a shell, which would expand a $ or ` in a longer path.
        command += ["-D", self.data.name, "-l", self.log.name, "-o", options]
        for retries_left in reversed(range(10)):
            # Postgres does not start while the pid in a stale pid file belongs to any program.
            if not self.processes() and not self.postmaster():
                (self.data / "postmaster.pid").unlink(missing_ok=True)
            try:
                self._run(binaries, runner, command)
                break
            except LocalError:
                # After kill -9 its last children hold the shared memory for a moment, and the server rightly waits.
                if not retries_left:
                    raise
                time.sleep(1)

    def _run(self, binaries: Path, runner: postgres_binaries.Identity, command: list[str]) -> None:
        program, *arguments = command
        done = subprocess.run(  # noqa: S603 - Postgres' own programs, without a shell
            [*runner.prefix, binaries / program, *arguments],
            cwd=self.home,
            env=postgres_binaries.ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode:
            log_tail = self.log.read_text(errors="replace").splitlines()[-5:] if self.log.exists() else []
            reason = "\n".join([*done.stderr.strip().splitlines()[-5:], *log_tail])
            raise LocalError(f"PostgreSQL's {program} failed (its log is {self.log}):\n{reason}")

    def processes(self) -> list[psutil.Process]:
        """Return every process of this server: its data directory is their working directory."""
        ours = {"name": "postgres", "cwd": str(self.data.resolve())}
        return [process for process in psutil.process_iter([*ours]) if process.info == ours]

    def _socket(self) -> Path:
        return socket_folder.of(self.home) / f".s.PGSQL.{self.port}"

    def _pid_file(self) -> list[str]:
        return (self.data / "postmaster.pid").read_text().splitlines()

    def _add_passwords(self) -> None:
        """Draw a password for each role that has none: every role of a new server, new ones after an upgrade."""
        passwords = self._passwords()
        for name in (ADMIN, *dict.fromkeys(OWNERS.values()), *RECJOBS_ROLES):
            passwords.setdefault(name, secrets.token_hex(16))
        if passwords != self._passwords():
            write_private(self.pgpass, "".join(f"*:*:*:{name}:{password}\n" for name, password in passwords.items()))

    def _passwords(self) -> dict[str, str]:
        lines = self.pgpass.read_text().splitlines() if self.pgpass.exists() else []
        return {line.split(":")[3]: line.split(":")[4] for line in lines}


def _signal(process: psutil.Process, name: str) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.Signals[name])
