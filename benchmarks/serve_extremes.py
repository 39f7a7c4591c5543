"""One request at a time beside 1,000 idle connections, under 200 rules on the categories of 100,000 items, and over 100
catalogs of one web app: each against the same request of a web app that has nothing else to do.

All are measured in turn within each round, in the way of `benchmarks.serve`; the p99 of each may be twice that alone.
"""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import serve_rules, serve_world
from benchmarks.__main__ import machine
from benchmarks.serve_programs import GUARDED, KEY, Served, apart, asked, running
from benchmarks.serve_report import Taken, extremes
from benchmarks.serve_world import CATALOG, Shape, World
from recjobs.config import ROOT
from webapp.__main__ import open_files

N_USERS = 100_000
N_IDLE, N_CATALOGS = 1_000, 100
MOST = 2.0
"""How many times the p99 alone the p99 of each may be."""
WARM_UP = 20
"""How many times longer than a turn each web app is warmed up. A hundred catalogs have 200,000 items, of which a web
app reads each once; the first of four seconds' requests would measure that."""
RULED, MANY = "ruled", tuple(f"shop_{k:02}" for k in range(N_CATALOGS))
LARGE, SMALL = Shape(N_USERS, n_items=100_000, n_categories=250), Shape(1_000, n_items=2_000)


def build(state: Path, n_users: int) -> World:
    """Start the server in `state`, with all catalogs: two of n_users lists and a hundred small ones."""
    world = serve_world.started(state, n_users)
    made = serve_world.fill(world, Shape(n_users))
    made |= serve_world.fill(replace(world, catalog=RULED), replace(LARGE, n_users=n_users))
    for name in MANY:
        made |= serve_world.fill(replace(world, n_users=SMALL.n_users, catalog=name), SMALL, n_batches=2)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if made:
        serve_world.vacuum(world)
    return world


def addresses(folder: Path, catalogs: tuple[str, ...], n_users: int) -> Path:
    """A file with what is asked for: visitors drawn by Zipf's law, each of one of the catalogs."""
    ids = serve_world.drawn_ids(serve_world.visitors_of(n_users), 100_000, seed=7)
    of = np.random.default_rng(8).integers(0, len(catalogs), len(ids))
    file = folder / f"{catalogs[0]}.txt"
    file.write_text("\n".join(f"{catalogs[k]}/recommendations?user_id={i}" for k, i in zip(of, ids, strict=True)))
    return file


@contextmanager
def idle_connections(server: Served, n: int) -> Iterator[None]:
    """Hold n connections, each after one request, until the end of the block; raises if the web app hung up on one."""
    headers = f"Host: 127.0.0.1\r\nAuthorization: Bearer {server.key}\r\n"
    request = f"GET /v1/{CATALOG}/popular?n=1 HTTP/1.1\r\n{headers}\r\n".encode()
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(n)]
        for one in held:
            one.sendall(request)
        for one in held:
            if not (answer := one.recv(65536)).startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"a connection that was to be idle: {answer!r}")
        yield
        for one in held:
            one.setblocking(False)
            try:
                raise SystemExit(f"an idle connection ended: {one.recv(65536)!r}")
            except BlockingIOError:
                pass


def run(state: Path | None, n_users: int | None, rounds: int | None, seconds: float) -> None:
    """Build the catalogs, start the web apps, measure, print."""
    n_users, rounds = n_users or N_USERS, rounds or 5
    open_files(N_IDLE + 100)
    world = build(state or ROOT / ".local/bench-serve-extremes", n_users)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            apart(world.cluster)
            settings = {"RECJOBS_READER_URL": world.cluster.url("recjobs_reader"), "RECJOBS_STATE": str(folder)}
            stack.enter_context(
                serve_rules.in_force(replace(world, catalog=RULED), serve_rules.by_category(LARGE.n_categories))
            )
            plain, ruled, many = (
                Served(stack.enter_context(running(folder, ["webapp"], environment=settings | GUARDED)), KEY)
                for _ in range(3)
            )
            of_plain, of_ruled, of_many = (
                addresses(folder, catalogs, n)
                for catalogs, n in (((CATALOG,), n_users), ((RULED,), n_users), (MANY, SMALL.n_users))
            )

            def beside_idle() -> Taken:
                with idle_connections(plain, N_IDLE):
                    return asked(plain, "/v1/", of_plain, seconds)

            turns = {
                "alone": lambda: asked(plain, "/v1/", of_plain, seconds),
                f"{N_IDLE:,} idle connections": beside_idle,
                "200 category rules": lambda: asked(ruled, "/v1/", of_ruled, seconds),
                f"{N_CATALOGS} catalogs": lambda: asked(many, "/v1/", of_many, seconds),
            }
            print(f"{n_users:,} users, {rounds} rounds, load {os.getloadavg()[0]:.1f} before; {machine()}", flush=True)
            for server, file in ((plain, of_plain), (ruled, of_ruled), (many, of_many)):
                asked(server, "/v1/", file, WARM_UP * seconds, 16)
            taken: dict[str, list[Taken]] = {name: [] for name in turns}
            for count in range(rounds + 1):  # the first one warms up
                for name, turn in turns.items():
                    one = turn()
                    if count:
                        taken[name].append(one)
                print(".", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
            print("\n".join(extremes(taken, MOST)))
    finally:
        world.cluster.stop()
