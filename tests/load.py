"""A process that asks for lists from many keep-alive connections at once and compares each with the batch it names.

`Load` starts it and gives its `Report`. It knows the batches by how they are made, so it asks nobody what is right.
"""

import json
import os
import random
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import groupby
from typing import Any, Self
from urllib.parse import quote

import orjson

from tests.commands import ROOT
from tests.replicas import unmeasured
from tests.webapp_world import Batch, shop_batch

SILENT_SECONDS = 30
"""A request that has no answer after this long has failed."""
KEPT_EXAMPLES = 5


@dataclass
class Run:
    """Consecutive answers of one connection from one batch; times are of time.monotonic(), which processes share."""

    batch_id: str
    first_ended: float
    last_began: float
    n: int = 1


@dataclass
class Report:
    """What the connections saw."""

    requests: int = 0
    failed: int = 0
    unavailable: int = 0
    refusals: list[float] = field(default_factory=list)
    unchanged: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    """Answers by the route as the web app's metrics name it, and by status: `similar 200`."""
    torn: int = 0
    examples: list[str] = field(default_factory=list)
    seconds: float = 0
    milliseconds: dict[str, float] = field(default_factory=dict)
    connections: list[list[Run]] = field(default_factory=list)

    def batches(self) -> list[list[str]]:
        """The batches each connection saw, one after the other."""
        return [[batch_id for batch_id, _ in groupby(run.batch_id for run in runs)] for runs in self.connections]


def batch_of(batch_id: str, seed: int) -> Batch:
    """A batch that has nothing in common with another one: lists, scores, titles and version are its own."""
    batch = shop_batch(batch_id, seed)
    batch.model_version = f"version-{seed}"
    batch.items = {i: (title and f"{title} as of {seed}", *rest) for i, (title, *rest) in batch.items.items()}
    for lists in (batch.similar, batch.popular, batch.users):
        for key, (item_ids, scores, *rest) in lists.items():
            lists[key] = (item_ids, [round(score - seed / 2**14, 5) for score in scores], *rest)
    return batch


class Load:
    """`connections` clients that ask until `stop`, for `requests` answers at least; none is left after the block."""

    def __init__(
        self,
        port: int,
        seeds: dict[str, int],
        requests: int,
        connections: int = 16,
        pause: float | None = None,
        **mix: float,
    ) -> None:
        """`seeds`: of each batch that may be named in an answer. `mix`: shares of what is asked for; see Mix.

        `pause`: seconds until a client asks again. Unless it is given: none in `make soak`, a moment in `make test`,
        where others test as well.
        """
        if pause is None:
            pause = 0 if os.environ.get("RECJOBS_SOAK") else 0.01
        order = {"port": port, "seeds": seeds, "requests": requests, "connections": connections, "mix": mix}
        order["pause"] = pause
        self.answered = 0
        self.last_line = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.load", json.dumps(order)],
            cwd=ROOT,
            env=unmeasured({"PYTHONPATH": str(ROOT)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):
                self.last_line = line
            else:
                self.answered = int(line)

    def wait_for(self, requests: int) -> None:
        """Until so many requests are answered, give or take a hundred."""
        requests -= requests % 100
        while self.answered < requests:
            assert self._listener.is_alive(), "the load ended by itself"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> Report:
        """Stop asking, as soon as `requests` are answered."""
        assert self.process.stdin
        self.process.stdin.close()
        self._listener.join()
        assert self.process.wait(10) == 0
        found = json.loads(self.last_line)
        found["connections"] = [[Run(**run) for run in runs] for runs in found["connections"]]
        return Report(**found)


@dataclass(frozen=True)
class Mix:
    """Shares of what is asked for; the rest are lists of users the batch knows."""

    unknown: float = 0.06
    similar: float = 0.06
    popular: float = 0.06
    many: float = 0.03
    silly: float = 0.0
    again: float = 0.1
    """Those of users who are asked for with If-None-Match, if they were before."""


class Question:
    """One kind of request for one id: its bytes, and what is right."""

    def __init__(self, kind: str, asked: str, n: int, catalog: str = "shop") -> None:
        self.kind, self.asked, self.n = kind, asked, n
        path = {
            "user": f"recommendations?user_id={quote(asked, safe='')}&n={n}",
            "similar": f"similar?item_id={quote(asked, safe='')}&n={n}",
            "popular": f"popular?n={n}",
            "silly": f"recommendations?user={quote(asked, safe='')}",
        }[kind]
        self._head = f"GET /v1/{catalog}/{path} HTTP/1.1\r\nHost: load\r\n"
        self.bytes = f"{self._head}\r\n".encode()
        self.status = 400 if kind == "silly" else 200
        self.route = kind if kind in ("similar", "popular") else "recommendations"
        self.parts = [self]
        self._right: dict[str, Any] = {}

    def unless(self, etag: str) -> bytes:
        """The request of a client that has a list with this tag."""
        return f"{self._head}If-None-Match: {etag}\r\n\r\n".encode()

    def right(self, batch: Batch) -> Any:
        """What a batch has for this question; worked out once."""
        if batch.batch_id not in self._right:
            self._right[batch.batch_id] = self._answer(batch)
        return self._right[batch.batch_id]

    def _answer(self, batch: Batch) -> tuple[str, str, list[list[Any]]]:
        """Version, source and items (rank, id, title, score, source) that a batch has for this question."""
        kind, own = self.kind, None
        if kind == "user":
            own = batch.users.get(self.asked)
        if own:
            item_ids, scores, model, n_model, n_category = own
            sources = ([model] * n_model + ["category"] * n_category + ["popular"] * len(item_ids))[: len(item_ids)]
        else:
            item_ids, scores = batch.similar.get(self.asked, ([], [])) if kind == "similar" else batch.popular["all"]
            sources = ["similar" if kind == "similar" else "popular"] * len(item_ids)
        source = sources[0] if kind != "similar" else "similar"
        n = min(self.n, batch.top_n_served)
        rows = zip(item_ids[:n], scores, sources, strict=False)
        return batch.model_version, source, [[r, i, batch.items[i][0], s, o] for r, (i, s, o) in enumerate(rows, 1)]


class Many:
    """One request for the lists of several users."""

    status = 200
    asked = None
    route = "recommendations:batch"

    def __init__(self, parts: list[Question], catalog: str = "shop") -> None:
        self.parts = parts
        body = orjson.dumps({"user_ids": [part.asked for part in parts], "n": parts[0].n})
        head = f"POST /v1/{catalog}/recommendations:batch HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\n"
        self.bytes = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Questions:
    """Draws questions, and knows the answers."""

    def __init__(self, seeds: dict[str, int], mix: Mix, seed: int = 1) -> None:
        self._batches = {batch_id: batch_of(batch_id, seed) for batch_id, seed in seeds.items()}
        first = next(iter(self._batches.values()))
        self._users, self._items = first.users, list(first.items)
        self._names = list(first.users)
        self._mix, self._draw = mix, random.Random(seed)
        self._known = cache(Question)
        self._kept: dict[Question | Many, tuple[str, str]] = {}

    def next(self) -> Question | Many:
        """Any question; an unknown user is never asked for twice, so that a cache by user would grow."""
        where, n = self._draw.random() - self._mix.many, self._draw.choice((10, 20, 30))
        if where < 0:
            return Many([self._known("user", name, n) for name in self._draw.sample(self._names, 10)])
        for kind in ("unknown", "similar", "popular", "silly"):
            where -= getattr(self._mix, kind)
            if where < 0 and kind in ("unknown", "silly"):
                return Question("user" if kind == "unknown" else kind, f"nobody-{self._draw.getrandbits(64):x}", n)
            if where < 0:
                return self._known(kind, self._draw.choice(self._items) if kind == "similar" else "", n)
        return self._known("user", self._draw.choice(self._names), n)

    def kept(self, question: Question | Many) -> tuple[str, str] | None:
        """The tag and the batch of the list that clients have of this question, now and then."""
        return self._kept.get(question) if self._draw.random() < self._mix.again else None

    def keep(self, question: Question | Many, etag: str, batch_id: str) -> None:
        """Clients have this list now."""
        if question.asked in self._users:
            self._kept[question] = etag, batch_id

    def wrong(self, question: Question | Many, answers: list[dict[str, Any]]) -> str | None:
        """What is wrong with an answer, or None."""
        if len({answer["batch_id"] for answer in answers}) != 1 or len(answers) != len(question.parts):
            return f"{len(answers)} lists of {[answer['batch_id'] for answer in answers]} for {question.bytes!r}"
        found = (self._wrong(*pair) for pair in zip(question.parts, answers, strict=True))
        return next(filter(None, found), None)

    def _wrong(self, question: Question, answer: dict[str, Any]) -> str | None:
        batch_id = answer["batch_id"]
        if batch_id not in self._batches:
            return f"an unknown batch {batch_id}"
        items = [[i["rank"], i["item_id"], i["title"], i["score"], i["source"]] for i in answer["items"]]
        found = (answer["model_version"], answer["source"], items)
        right = question.right(self._batches[batch_id])
        return None if found == right else f"{question.kind} {question.asked!r} in {batch_id}: {found} is not {right}"


class Connection:
    """One client: a question at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.runs: list[Run] = []
        self.began = 0.0
        self.question: Question | Many
        self.kept: tuple[str, str] | None = None
        self.etag = ""
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=SILENT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def ask(self, question: Question | Many, kept: tuple[str, str] | None) -> None:
        """Send a question, unless the list of this tag and batch still holds."""
        self.question, self.kept, self.began, self._buffer = question, kept, time.monotonic(), b""
        unless = kept and isinstance(question, Question)
        self.socket.sendall(question.unless(kept[0]) if unless else question.bytes)

    def receive(self) -> tuple[int, bytes] | None:
        """The status and body of a whole answer; None while more is to come. Raises OSError when there is none."""
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError(f"hung up after {len(self._buffer)} bytes of an answer")
        self._buffer += piece
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return None
        lines = head.lower().split(b"\r\n")
        fields = dict(line.split(b": ", 1) for line in lines[1:])
        length = int(fields[b"content-length"]) if head[9:12] != b"304" else 0
        self.etag = fields.get(b"etag", b"").decode()
        if len(body) < length:
            return None
        if fields.get(b"connection") == b"close":  # nginx says so after keepalive_requests of them
            self.renew()
        return int(head[9:12]), body

    def renew(self) -> None:
        """Another connection in the place of this one."""
        self.socket.close()
        self._connect()

    def note(self, batch_id: str) -> None:
        """An answer came, of this batch."""
        now = time.monotonic()
        if self.runs and self.runs[-1].batch_id == batch_id:
            self.runs[-1].last_began, self.runs[-1].n = self.began, self.runs[-1].n + 1
        else:
            self.runs.append(Run(batch_id, now, self.began))


def ask(order: dict[str, Any]) -> Report:
    """Ask until stdin ends, and for as many answers as were ordered."""
    questions, report, took = Questions(order["seeds"], Mix(**order["mix"])), Report(), []
    selector, told = selectors.DefaultSelector(), threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()
    everyone = [Connection(order["port"]) for _ in range(order["connections"])]

    def fail(connection: Connection, why: str) -> None:
        report.failed += 1
        report.examples = [*report.examples, f"{time.monotonic():.3f} {why}"[:3000]][:KEPT_EXAMPLES]

    waiting: deque[tuple[float, Connection]] = deque()

    def go_on(connection: Connection) -> None:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        question = questions.next()
        connection.ask(question, questions.kept(question))

    def wake() -> float:
        while waiting and waiting[0][0] <= time.monotonic():
            go_on(waiting.popleft()[1])
        return max(0.001, waiting[0][0] - time.monotonic()) if waiting else 1

    began = time.monotonic()
    for connection in everyone:
        go_on(connection)
    while True:
        # at the end each client still waits for its answer, so that as many were answered as were asked
        is_over = report.requests >= order["requests"] and told.is_set()
        if is_over and not selector.get_map():
            break
        ready = selector.select(1 if is_over else wake())
        for key, _ in ready:
            connection = key.data
            selector_socket = connection.socket
            try:
                answer = connection.receive()
                if answer is None:
                    continue
                status, body = answer
                took.append(time.monotonic() - connection.began)
                counted = f"{connection.question.route} {status}"
                report.counts[counted] = report.counts.get(counted, 0) + 1
                if status == 503:
                    report.unavailable += 1
                    report.refusals = [*report.refusals, round(connection.began, 1)][:KEPT_EXAMPLES]
                elif status == 304 and connection.kept:
                    report.unchanged += 1
                    connection.note(connection.kept[1])
                elif status != connection.question.status:
                    fail(connection, f"{status} to {connection.question.bytes!r}: {body[:300]!r}")
                elif status == 200:
                    found = orjson.loads(body)
                    answers = found.get("answers", [found])
                    connection.note(answers[0]["batch_id"])
                    questions.keep(connection.question, connection.etag, answers[0]["batch_id"])
                    if wrong := questions.wrong(connection.question, answers):
                        report.torn += 1
                        report.examples = [*report.examples, wrong[:3000]][:KEPT_EXAMPLES]
            except OSError as error:
                fail(connection, f"{error} to {connection.question.bytes!r}")
                connection.renew()
            report.requests += 1
            if report.requests % 100 == 0:
                print(report.requests, flush=True)
            selector.unregister(selector_socket)
            waiting.append((time.monotonic() + order["pause"], connection))
        silent = [] if ready else [key.data for key in selector.get_map().values()]
        for connection in silent:
            if time.monotonic() - connection.began > SILENT_SECONDS:
                fail(connection, f"no answer to {connection.question.bytes!r}")
                selector.unregister(connection.socket)
                connection.renew()
                if not is_over:
                    go_on(connection)
    report.seconds = time.monotonic() - began
    took.sort()
    report.milliseconds = {f"p{p}": round(1000 * took[int(len(took) * p / 100)], 2) for p in (50, 99, 99.9)}
    report.connections = [connection.runs for connection in everyone]
    return report


if __name__ == "__main__":
    print(json.dumps(asdict(ask(json.loads(sys.argv[1])))), flush=True)
