"""How long a back-up and its restore onto an empty machine take, by the number of interactions.

`make bench-restore`, or `make bench-restore SIZE=20m`: a night on generated interactions, `recjobs back-up`, then
`recjobs restore` into another Postgres and state folder that are empty. It fails unless the same batch is live there
with the same lists.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from recjobs.config import load_settings  # first: it limits BLAS to one thread, before numpy is imported

import psycopg2  # isort: skip

from benchmarks.__main__ import machine  # isort: skip
from benchmarks.night import SIZES  # isort: skip
from benchmarks.beside import builds, environment  # isort: skip
from benchmarks.night import world  # isort: skip

CATALOG = "bench"
LISTS = "select batch_id, count(*), sum(hashtext(user_id || item_ids::text)::bigint) from served_lists group by 1"


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(prog="make bench-restore", description=__doc__)
    parser.add_argument(
        "--size", choices=SIZES, nargs="+", default=["2m"], help="about how many interactions there are"
    )
    load_settings()
    print(f"{machine()}\n{'interactions':>14}{'night':>10}{'back-up':>10}{'restore':>10}{'size':>12}  lists")
    for size in parser.parse_args().size:
        measured = measure(SIZES[size])
        print(line(SIZES[size][2], measured), flush=True)


def measure(size: tuple[int, int, int]) -> dict[str, float]:
    """Seconds of night, back-up and restore; bytes of the back-up; how many lists are the same as before."""
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        place = Path(folder) / "back-ups"
        with world(Path(folder) / "before", CATALOG, size, Path(folder) / "before.db") as (settings, reader_url):
            _recjobs(settings, "migrate")
            _, night = _recjobs(settings, "night", "--catalog", CATALOG)
            before = _lists(reader_url)
            done, back_up = _recjobs(settings, "back-up", "--to", str(place), "--json")
        with world(Path(folder) / "after", CATALOG, size, Path(folder) / "after.db") as (settings, reader_url):
            _, restore = _recjobs(settings, "restore", "--from", str(place))
            assert _lists(reader_url) == before, "other lists are served than before"
    n_bytes = json.loads(done.splitlines()[-1])["bytes"]
    return {"night": night, "back-up": back_up, "restore": restore, "bytes": n_bytes, "lists": before[0][1]}


def line(interactions: int, measured: Mapping[str, float]) -> str:
    """A size as a row of the table."""
    seconds = "".join(f"{measured[name]:>9.1f}s" for name in ("night", "back-up", "restore"))
    return f"{interactions:>14,}{seconds}{measured['bytes'] / 1e6:>9.0f} MB  {measured['lists']:,.0f} equal"


def _recjobs(settings: Mapping[str, str], *arguments: str) -> tuple[str, float]:
    build = builds(None)[0]
    began = time.perf_counter()
    done = subprocess.run(
        build.command("recjobs", *arguments),
        cwd=build.root,
        env=environment(settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0, arguments
    return done.stdout, time.perf_counter() - began


def _lists(reader_url: str) -> Any:
    connection = psycopg2.connect(reader_url, options=f"-c search_path={CATALOG},pg_temp")
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(LISTS)
        return cursor.fetchall()


if __name__ == "__main__":
    main()
