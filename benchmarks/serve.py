"""Serving against its floor and a peer. `make bench-serve`; smaller and sooner: `ARGS="--users 100000 --rounds 2"`.

A million lists, visitors drawn by Zipf's law, some unknown; clients, web app, peer and Postgres share the machine. The
floor is pgbench with the product's own serving statement, prepared, with the web app's settings, through its socket.
All are measured in turn, round by round, for a few seconds each: a shared machine is slow for all of them alike, so
ratios are taken within a round, and what is printed is the median over the rounds.

The web app is measured as it is deployed, with API keys, a rate limit and the request log (`GUARDED`); beside it, as
`open`, without any of them.

`make bench-serve BESIDE=COMMIT` measures two web apps instead, this checkout's and that commit's, with the same lists;
`make bench-serve ROUNDS=16 ARGS=--metrics` this checkout's with its counters and without (WEBAPP_METRICS=false).
`make bench-serve ARGS=--extremes` measures what else a web app has to bear (`serve_extremes`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import orjson

from benchmarks import beside, serve_extremes, serve_rules, serve_world
from benchmarks.__main__ import machine
from benchmarks.beside import THIS, Build, Comparison, turns
from benchmarks.serve_programs import GUARDED, KEY, OPEN, Served, apart, asked, cpu_seconds, running
from benchmarks.serve_report import Taken, report
from benchmarks.serve_world import CATALOG, World
from local import postgres_binaries
from recjobs.config import ROOT
from webapp.postgres.connection import session_options
from webapp.settings import Settings

PATH = f"/v1/{CATALOG}/recommendations?user_id="
PGBENCH = """\\set rank random_zipfian(1, {n_visitors}, {exponent})
\\set user 1000000000 + :rank * 7919 % {n_visitors}
\\set n 20
{statement};
"""
UNCOUNTED = Build("uncounted", ROOT)
"""This checkout, with WEBAPP_METRICS=false."""
RATE = 500
"""Requests a second of the open loop."""


class Bench:
    """The running programs, and how each is measured."""

    def __init__(self, world: World, folder: Path, seconds: float) -> None:
        self.world, self.folder, self.seconds = world, folder, seconds
        self.ids = folder / "ids.txt"
        self.ids.write_text("\n".join(serve_world.drawn_ids(world.n_visitors, 100_000, seed=7)))
        statement = (ROOT / "sql/queries/webapp/stored.sql").read_text()
        code = "\n".join(line.partition("--")[0] for line in statement.splitlines())
        self.script = folder / "serving.sql"
        self.script.write_text(
            PGBENCH.format(
                n_visitors=world.n_visitors,
                exponent=serve_world.EXPONENT,
                # a blank: `[1::n]` would be a cast
                statement=code.replace("$1", ":user").replace("$2", " :n"),
            )
        )
        self.url = world.cluster.url("recjobs_reader")

    def client(self, server: Served, connections: int, rate: float | None = None) -> Taken:
        """The lean client, in a process of its own."""
        return asked(server, PATH, self.ids, self.seconds, connections, rate)

    def under(self, rules: list[serve_rules.Rule], server: Served) -> Taken:
        """One connection while these rules are in force, as they are for days.

        A change of the rules makes every kept answer anew; before the rules are measured, and before what comes after
        them is, the visitors of the other turns come by, so that as many answers are kept with rules as without.
        """
        with serve_rules.in_force(self.world, rules):
            self.client(server, 16)
            taken = self.client(server, 1)
        self.client(server, 16)
        return taken

    def pgbench(self, connections: int) -> Taken:
        """Postgres and a C client alone."""
        of_libpq = self.world.libpq("recjobs_reader")
        of_libpq["PGOPTIONS"] = session_options(Settings(database_url=self.url).statement_timeout_ms, CATALOG)
        command = [str(postgres_binaries.find() / "pgbench"), "-n", "-M", "prepared", "-f", str(self.script), "-l"]
        command += ["-c", str(connections), "-T", str(max(1, round(self.seconds)))]
        for log in self.folder.glob("pgbench_log.*"):
            log.unlink()
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, env=os.environ | of_libpq)
        rows = np.concatenate([np.loadtxt(log, usecols=2) for log in self.folder.glob("pgbench_log.*")])
        return Taken(np.sort(rows) / 1000, rows.size / self.seconds)


PEER = "uvicorn benchmarks.peer_fastapi:app --loop uvloop --http httptools --no-access-log --port PORT --workers"


def feed_peer(folder: Path, world: World) -> None:
    """Write what the peer reads; its factors are drawn, as their values do not change what scoring costs."""
    rng = np.random.default_rng(7)
    known = np.arange(1, world.n_visitors + 1)
    known = known[known % serve_world.UNKNOWN_EVERY > 0]
    np.save(folder / "user_ids.npy", serve_world.user_ids(known, world.n_visitors))
    np.save(folder / "user_factors.npy", rng.standard_normal((known.size, 64), np.float32))
    np.save(folder / "item_factors.npy", rng.standard_normal((serve_world.N_ITEMS, 64), np.float32))
    (folder / "items.json").write_bytes(orjson.dumps(serve_world.items()))
    np.save(folder / "seen.npy", serve_world.drawn_items(rng, known.size, serve_world.N_SEEN).astype(np.int32))


def measure(
    bench: Bench, rounds: int, webapp: Served, opened: Served, trivial: Served, peers: tuple[Served, Served]
) -> dict[str, list[Taken]]:
    """Everything in turn, `rounds` times after one that warms up."""
    taken: dict[str, list[Taken]] = {}
    turns = {
        "client alone, 1": lambda: bench.client(trivial, 1),
        "pgbench, 1": lambda: bench.pgbench(1),
        "webapp, 1": lambda: bench.client(webapp, 1),
        "  open": lambda: bench.client(opened, 1),
        "  200 blocks": lambda: bench.under(serve_rules.blocks(), webapp),
        "  200 rules": lambda: bench.under(serve_rules.mixed(), webapp),
        "pgbench, 4": lambda: bench.pgbench(4),
        "webapp, 4": lambda: bench.client(webapp, 4),
        "client alone, 16": lambda: bench.client(trivial, 16),
        "webapp, 16": lambda: bench.client(webapp, 16),
        "  open, 16": lambda: bench.client(opened, 16),
        "peer, 16": lambda: bench.client(peers[0], 16),
        "  a process a core": lambda: bench.client(peers[1], 16),
        "peer, 1": lambda: bench.client(peers[0], 1),
        f"webapp, {RATE}/s": lambda: bench.client(webapp, 64, RATE),
    }
    for count in range(rounds + 1):
        for name, turn in turns.items():
            one = turn()
            if count:
                taken.setdefault(name, []).append(one)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return taken


def measure_beside(
    bench: Bench, rounds: int, builds: Sequence[Build], webapp: Callable[[Build], AbstractContextManager[Served]]
) -> dict[str, Comparison]:
    """Both builds' web apps in turn, `rounds` times after one that warms up. Exits when a request gets no 200.

    Each turn starts its web app anew: two processes of one program differ by some hundredths in how their memory lies,
    for as long as they run.
    """
    one: dict[Build, list[Taken]] = {build: [] for build in builds}
    many: dict[Build, list[Taken]] = {build: [] for build in builds}
    cpu: dict[Build, list[float]] = {build: [] for build in builds}
    for count, build in turns(builds, rounds + 1):
        with webapp(build) as server:
            bench.client(server, 16)
            taken = [bench.client(server, 1)]
            before = cpu_seconds(server)
            taken.append(bench.client(server, 16))
            used = cpu_seconds(server) - before
        if failed := sum(each.failed for each in taken):
            raise SystemExit(f"{failed} requests to the web app of {build.name} got no 200")
        if count:
            one[build].append(taken[0])
            many[build].append(taken[1])
            cpu[build].append(used / taken[1].latencies.size * 1e6)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {
        "1 connection, p50 ms": Comparison(*([each.at(0.5) for each in one[build]] for build in builds)),
        "1 connection, p99 ms": Comparison(*([each.at(0.99) for each in one[build]] for build in builds)),
        "16 connections, requests/s": Comparison(*([each.rate for each in many[build]] for build in builds)),
        "16 connections, CPU us/request": Comparison(*(cpu[build] for build in builds)),
    }


def main() -> None:
    """Build the world, start the servers, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench-serve", description=__doc__)
    parser.add_argument("--users", type=int, help=f"a million, or {serve_extremes.N_USERS:,} with --extremes")
    parser.add_argument("--beside", metavar="COMMIT", help="measure this commit's web app in turn with ours")
    parser.add_argument(
        "--metrics", action="store_true", help="measure this web app in turn with one that counts nothing"
    )
    parser.add_argument("--extremes", action="store_true", help=serve_extremes.__doc__)
    parser.add_argument("--rounds", type=int, help="8 beside another commit, else 5")
    parser.add_argument("--seconds", type=float, default=2, help="of each measuring")
    parser.add_argument("--state", type=Path, help="where the lists are kept; .local/bench-serve or beside it")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="beside another commit: write every round here as well"
    )
    arguments = parser.parse_args()
    if arguments.extremes:
        serve_extremes.run(arguments.state, arguments.users, arguments.rounds, arguments.seconds)
        return
    builds = [THIS, UNCOUNTED] if arguments.metrics else beside.builds(arguments.beside)
    rounds = arguments.rounds or (8 if len(builds) > 1 else 5)
    world = serve_world.build(arguments.state or ROOT / ".local/bench-serve", arguments.users or 1_000_000)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            apart(world.cluster)
            bench = Bench(world, folder, arguments.seconds)
            settings = {"RECJOBS_READER_URL": bench.url, "RECJOBS_STATE": str(folder)}

            @contextmanager
            def webapp(build: Build, key: str | None) -> Iterator[Served]:
                own = (
                    settings | (GUARDED if key else OPEN) | ({"WEBAPP_METRICS": "false"} if build == UNCOUNTED else {})
                )
                with running(folder, ["webapp"], build=build, environment=own) as port:
                    yield Served(port, key)

            print(
                f"{world.n_users:,} users, {rounds} rounds, load {os.getloadavg()[0]:.1f} before; {machine()}",
                flush=True,
            )
            if len(builds) > 1:
                comparisons = measure_beside(bench, rounds, builds, partial(webapp, key=KEY))
                opened = measure_beside(bench, rounds, builds, partial(webapp, key=None))
                comparisons |= {f"{name}, open": one for name, one in opened.items()}
                print("\n".join(beside.table(builds, comparisons)))
                if arguments.json:
                    summaries = {name: asdict(one) | one.summary() for name, one in comparisons.items()}
                    arguments.json.write_text(
                        json.dumps({"machine": machine(), "comparison": summaries}, indent=1) + "\n"
                    )
                return
            trivial = Served(stack.enter_context(running(folder, ["benchmarks.trivial_server", "--port", "PORT"])))
            feed_peer(folder, world)
            peer = {"PEER_FOLDER": str(folder)}
            peers = [
                Served(stack.enter_context(running(folder, [*PEER.split(), str(n)], n, environment=peer)))
                for n in (1, os.cpu_count() or 1)
            ]
            deployed, without_keys = (stack.enter_context(webapp(THIS, key)) for key in (KEY, None))
            print("\n".join(report(measure(bench, rounds, deployed, without_keys, trivial, (peers[0], peers[1])))))
    finally:
        world.cluster.stop()


if __name__ == "__main__":
    main()
