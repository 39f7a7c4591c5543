"""Requests that arrive at a rate of their own, whatever the deployment does, and what became of them.

A latency counts from when its request was due: one that had to wait because all connections were busy has waited.
"""

import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from acceptance.deployment import Deployment, NoAnswer
from acceptance.plan import Condition, Plan, percentile
from acceptance.visitors import Question, Visitors

N_CONNECTIONS, MOST_WAITING = 50, 200


@dataclass
class Measured:
    """What became of the requests of some time."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    """How often each status came; `no answer` is one of them."""
    failed: int = 0
    dropped: int = 0
    """Requests that were not sent, because so many were waiting."""
    example: str = ""
    """What the first failure was."""

    @property
    def requests(self) -> int:
        """How many were sent."""
        return len(self.milliseconds)

    def add(self, other: "Measured") -> None:
        """Count what became of other requests as well."""
        self.milliseconds += other.milliseconds
        self.statuses += other.statuses
        self.failed += other.failed
        self.dropped += other.dropped
        self.example = self.example or other.example

    def values(self, metric: str, aggregates: list[str]) -> dict[str, float]:
        """The values of a metric of the plan."""
        if metric == "http_req_failed":
            return {"rate": self.failed / self.requests if self.requests else 1.0}
        if metric == "dropped_iterations":
            return {"count": float(self.dropped)}
        ordered = sorted(self.milliseconds)
        mean = sum(ordered) / len(ordered) if ordered else 0.0
        values = {"avg": mean, "med": percentile(ordered, 50), "max": ordered[-1] if ordered else 0.0}
        return values | {a: percentile(ordered, float(a[2:-1])) for a in aggregates if a.startswith("p(")}

    def __str__(self) -> str:
        ordered = sorted(self.milliseconds)
        counts = ", ".join(f"{n} {status}" for status, n in sorted(self.statuses.items()))
        times = ", ".join(f"p{share} {percentile(ordered, share):.0f} ms" for share in (50, 95, 99))
        dropped = f", {self.dropped} not sent" if self.dropped else ""
        return f"{self.requests} requests ({counts or 'none'}), {self.failed} failed{dropped}, {times}"


class Clients:
    """Threads with a connection each, that send what is due."""

    def __init__(self, connect: Callable[[], Deployment], visitors: Visitors, connections: int = N_CONNECTIONS) -> None:
        self._visitors, self._due = visitors, queue.Queue[float | None]()
        self._lock, self._measured = threading.Lock(), Measured()
        self._threads = [threading.Thread(target=self._work, args=(connect,), daemon=True) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def send(self, due: float) -> None:
        """Send one request that was due then (time.monotonic()), as soon as a connection is free."""
        if self._due.qsize() >= MOST_WAITING:
            with self._lock:
                self._measured.dropped += 1
        else:
            self._due.put(due)

    def measured(self) -> Measured:
        """What became of the requests since this was called last."""
        with self._lock:
            measured, self._measured = self._measured, Measured()
            return measured

    def stop(self) -> None:
        """Return when everything that was due is answered."""
        for _ in self._threads:
            self._due.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, connect: Callable[[], Deployment]) -> None:
        with connect() as deployment:
            while (due := self._due.get()) is not None:
                question = self._visitors.next()
                status, failure = self._ask(deployment, question)
                took = 1000 * (time.monotonic() - due)
                with self._lock:
                    self._measured.milliseconds.append(took)
                    self._measured.statuses[status] += 1
                    self._measured.failed += bool(failure)
                    self._measured.example = self._measured.example or failure

    def _ask(self, deployment: Deployment, question: Question) -> tuple[str, str]:
        try:
            answer = deployment.ask(question.path, question.body, question.headers)
        except NoAnswer as error:
            return "no answer", str(error)
        self._visitors.keep(question, answer)
        failure = "" if answer.status in question.fine else f"{question.path} is {answer.summary}"
        return str(answer.status), failure


def arrive(clients: Clients, seconds: float, rate: Callable[[float], float], stopped: threading.Event) -> None:
    """Send requests for so long, by a Poisson process of this rate a second; returns early once `stopped` is set."""
    draw, began, at = random.Random(3), time.monotonic(), 0.0  # noqa: S311 - the same arrivals in every run
    while True:
        at += draw.expovariate(rate(at))
        if stopped.wait(max(0.0, began + min(at, seconds) - time.monotonic())) or at >= seconds:
            return
        clients.send(began + at)


@dataclass(frozen=True)
class Verdict:
    """One threshold, and whether it was kept."""

    metric: str
    condition: str
    value: float
    passed: bool


def judge(plan: Plan, measured: Measured) -> Iterator[Verdict]:
    """Every threshold of a plan."""
    for metric, texts in plan.thresholds.items():
        for text in texts:
            condition = Condition.of(text)
            values = measured.values(metric, [condition.aggregate])
            yield Verdict(metric, text, round(values[condition.aggregate], 6), condition.holds(values))
