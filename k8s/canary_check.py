"""Ask what Argo Rollouts' analysis asks, for a canary of plain Deployments: exit code 0 to promote it, 1 to remove it.

    python k8s/canary_check.py http://127.0.0.1:9090          # `make canary-check PROMETHEUS=http://127.0.0.1:9090`

Queries, limits and times are those of `components/argo-rollouts/analysistemplate.yaml`: each metric is looked at
`count` times, `interval` apart, from `initialDelay` on. More bad looks than `failureLimit`, or five looks in a row
without a value, end it.
"""

import argparse
import json
import math
import operator
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parent / "components" / "argo-rollouts" / "analysistemplate.yaml"
COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
ERROR_LIMIT = 4
"""Looks in a row without a value that are borne, as Argo Rollouts does (`consecutiveErrorLimit`)."""


@dataclass(frozen=True)
class Metric:
    """One metric of the template; times in seconds."""

    name: str
    query: str
    compare: Callable[[float, float], bool]
    condition: str
    limit: float
    initial_delay: float
    interval: float
    count: int
    failure_limit: int


def seconds(text: str) -> float:
    """Return a duration such as `90s` or `2m` in seconds."""
    found = re.fullmatch(r"(\d+)([smh])", text)
    if not found:
        raise ValueError(f"{text!r} is no duration such as 90s")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def metrics_of(template: dict[str, Any], **arguments: str) -> list[Metric]:
    """Return the template's metrics with its arguments filled in; raises ValueError for a condition of another form."""
    values = {each["name"]: each["value"] for each in template["spec"]["args"]} | arguments
    found = []
    for metric in template["spec"]["metrics"]:
        condition = re.fullmatch(r"result\[0\] (<=|>=|<|>) ([\d.]+)", metric["successCondition"])
        if not condition:
            raise ValueError(
                f"{metric['name']}: {metric['successCondition']!r} is no comparison of result[0] with a number"
            )
        query = re.sub(r"\{\{args\.(\w+)\}\}", lambda name: values[name[1]], metric["provider"]["prometheus"]["query"])
        found.append(
            Metric(
                metric["name"],
                query.strip(),
                COMPARISONS[condition[1]],
                f"{condition[1]} {condition[2]}",
                float(condition[2]),
                seconds(metric["initialDelay"]),
                seconds(metric["interval"]),
                metric["count"],
                metric["failureLimit"],
            )
        )
    return found


def ask(prometheus: str, query: str) -> float | None:
    """Return the one value of a query now; None if there is none, or no answer."""
    url = f"{prometheus.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - the address that was given
            result = json.load(response)["data"]["result"]
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        print(f"Prometheus: {error}", file=sys.stderr)
        return None
    value = float(result[0]["value"][1]) if result else math.nan
    return None if math.isnan(value) else value


def looks(metrics: list[Metric]) -> Iterator[tuple[float, Metric]]:
    """Yield when each metric is looked at, in seconds from the beginning, in order."""
    due = [(m.initial_delay + k * m.interval, n) for n, m in enumerate(metrics) for k in range(m.count)]
    for at, n in sorted(due):
        yield at, metrics[n]


def judge(metrics: list[Metric], prometheus: str, wait: bool = True) -> str | None:
    """Look as the template says; return why the canary must go, or None if it may stay. `wait=False`: one look, now."""
    began, bad, silent = time.monotonic(), dict.fromkeys(metrics, 0), dict.fromkeys(metrics, 0)
    for at, metric in looks(metrics) if wait else ((0.0, metric) for metric in metrics):
        time.sleep(max(0, began + at - time.monotonic()) if wait else 0)
        value = ask(prometheus, metric.query)
        if value is None:
            silent[metric] += 1
            print(f"{metric.name}: no value", flush=True)
            if silent[metric] > ERROR_LIMIT or not wait:
                return f"{metric.name} has no value: does Prometheus scrape both Services, and does anybody ask?"
            continue
        silent[metric] = 0
        is_good = metric.compare(value, metric.limit)
        print(f"{metric.name}: {value:.4g}, {'good' if is_good else 'bad'} ({metric.condition})", flush=True)
        bad[metric] += not is_good
        if bad[metric] > (metric.failure_limit if wait else 0):
            return f"{metric.name} is {value:.4g}, and not {metric.condition}"
    return None


def main() -> int:
    """Return 0 if the canary may be promoted, 1 if not."""
    parser = argparse.ArgumentParser(description="May the canary be promoted?")
    parser.add_argument("prometheus", help="such as http://127.0.0.1:9090")
    parser.add_argument("--stable", default="webapp", help="the Service of the release that serves (default: webapp)")
    parser.add_argument("--canary", default="webapp-canary", help="the other one (default: webapp-canary)")
    parser.add_argument("--now", action="store_true", help="look once, instead of for three minutes")
    options = parser.parse_args()
    template = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    metrics = metrics_of(template, stable=options.stable, canary=options.canary)
    reason = judge(metrics, options.prometheus, wait=not options.now)
    print(f"remove the canary: {reason}" if reason else "promote the canary")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
