"""A search for secrets in everything that a platform leaves: files, tables, answers and the arguments of processes."""

import base64
import gzip
import json
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pyarrow.parquet as pq
from psycopg2 import sql

_TABLES = (
    "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE'"
    " and table_schema not in ('pg_catalog', 'information_schema')"
)
_CATALOGS = ("pg_proc", "pg_description", "pg_db_role_setting", "pg_statistic", "pg_statistic_ext_data")
_LOOK_SECONDS = 0.02


def forms(secret: str) -> set[bytes]:
    """How a secret may be stored: as it is, quoted for a URL or JSON, in base64 at any offset, in hexadecimal."""
    raw = secret.encode()
    texts = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], raw.hex()}
    for offset in range(3):
        # what depends on its neighbours is left out
        encoded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        texts.add(encoded[-(-offset * 8 // 6) : -1])
    return {text.encode() for text in texts}


class SecretSearch:
    """Where any of some named secrets is found: `found` has texts such as `PASSWORD in logs/a.log`."""

    def __init__(self, secrets: dict[str, str]) -> None:
        assert all(len(secret) >= 12 for secret in secrets.values()), "a short one is found by chance"
        self._forms = {name: forms(secret) for name, secret in secrets.items()}
        self.found: set[str] = set()
        self.places = 0

    def look(self, content: bytes | str, place: str) -> None:
        """Search one content, also what it holds if it is compressed."""
        raw = content.encode(errors="surrogateescape") if isinstance(content, str) else content
        self.places += 1
        for name, texts in self._forms.items():
            if any(text in raw for text in texts):
                self.found.add(f"{name} in {place}")
        for unpack in (gzip.decompress, zlib.decompress):
            try:
                unpacked = unpack(raw)
            except (OSError, EOFError, zlib.error):
                continue
            if unpacked:
                self.look(unpacked, place)

    def files(self, folder: Path, leave_out: Iterable[Path] = ()) -> None:
        """Search all files below a folder, the columns of Parquet files and the members of zip files (so of .npz)
        decoded; but for some files and folders."""
        left_out = set(leave_out)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not left_out & {path, *path.parents}:
                content = path.read_bytes()
                self.look(content, str(path.relative_to(folder)))
                if content.startswith(b"PAR1"):
                    self.look(repr(pq.read_table(path).to_pylist()), str(path.relative_to(folder)))
                elif content.startswith(b"PK"):
                    with zipfile.ZipFile(path) as members:
                        for name in members.namelist():
                            self.look(members.read(name), str(path.relative_to(folder)))

    def tables(self, url: str) -> None:
        """Search every row of every table of a database, and what its catalogs say of objects and settings."""
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(_TABLES)
            names = [sql.Identifier(*row) for row in cursor.fetchall()]
            names += [sql.Identifier("pg_catalog", name) for name in _CATALOGS]
            for name in names:
                cursor.execute(sql.SQL("select t::text from {} as t").format(name))
                place = name.as_string(connection)
                self.look("\n".join(row[0] for row in cursor.fetchall()), f"table {place}")

    @contextmanager
    def process_arguments(self) -> Iterator[None]:
        """Search the arguments of every process of this machine, again and again, while the block runs."""
        stop = threading.Event()

        def watch() -> None:
            seen: set[bytes] = set()
            while not stop.wait(_LOOK_SECONDS):
                # not by psutil, which takes half a core for it
                for process in Path("/proc").glob("[0-9]*"):
                    with suppress(OSError):  # it has ended
                        words = (process / "cmdline").read_bytes()
                        if words not in seen:
                            seen.add(words)
                            self.look(words.replace(b"\0", b" "), f"arguments of {process.name}")

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
