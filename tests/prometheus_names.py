"""Names of series: what statsd_exporter makes of a StatsD name, and what a PromQL expression asks for."""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from tests.commands import ROOT

GRAFANA = ROOT / "grafana"

TIMER_SUFFIXES = ("", "_sum", "_count")
"""The series of a summary: its quantiles, and these."""


NOT_HERE = ("container_", "kube_", "DCGM_", "recjobs_gpu_", "recjobs_backup_")
"""Series of cAdvisor, kube-state-metrics, a GPU and the back-up, which no test has: promtool makes them by hand."""


@dataclass(frozen=True)
class Series:
    """One series: its name and labels."""

    name: str
    labels: tuple[tuple[str, str], ...]


@cache
def mapping() -> tuple[dict[str, Any], ...]:
    """The rules of grafana/statsd-mapping.yaml in their order."""
    return tuple(yaml.safe_load((GRAFANA / "statsd-mapping.yaml").read_text())["mappings"])


def expand(statsd_name: str, rules: tuple[dict[str, Any], ...] | None = None) -> Series | None:
    """Return the series that statsd_exporter makes, None if it drops the name.

    As the exporter does: the first glob that matches, in which `*` is one part between dots; only then the regular
    expressions; and without a match the name itself, with `_` for what may not stand in a series' name.
    """
    rules = mapping() if rules is None else rules
    globs = [rule for rule in rules if rule.get("match_type", "glob") == "glob"]
    patterns = [
        *((re.compile("^" + re.escape(rule["match"]).replace(r"\*", r"([^.]*)") + "$"), rule) for rule in globs),
        *((re.compile(rule["match"]), rule) for rule in rules if rule not in globs),
    ]
    for pattern, rule in patterns:
        if match := pattern.search(statsd_name):
            if rule.get("action") == "drop":
                return None
            labels = {key: _filled(text, match) for key, text in rule.get("labels", {}).items()}
            return Series(_as_name(_filled(rule["name"], match)), tuple(sorted(labels.items())))
    return Series(_as_name(statsd_name), ())


def _filled(text: str, match: re.Match[str]) -> str:
    return re.sub(r"\$\{?(\d+)\}?", lambda number: match[int(number[1])], text)


def _as_name(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_:]", "_", text)


def panels() -> dict[str, str]:
    """The expression of each panel of the dashboards, for any catalog."""
    found = {}
    for file in sorted((GRAFANA / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                if target["datasource"]["type"] == "prometheus":
                    found[f"{file.stem}: {panel['title']} {target['refId']}"] = target["expr"].replace("$catalog", ".*")
    return found


def asked_by_alerts() -> dict[str, str]:
    """The series that the expression of each alert asks for, whatever their labels: there must be some, or the alert
    is silent whatever happens."""
    found = {}
    for file in sorted((GRAFANA / "rules").glob("*.yaml")):
        for rule in (rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]):
            for name, matchers in selectors(rule["expr"]) if "alert" in rule else ():
                operator, pattern = matchers.get("__name__", ("=", name))
                found[f"{rule['alert']}: {pattern}"] = f'{{__name__{operator}"{pattern}"}}'
    return found


def selectors(expression: str) -> list[tuple[str, dict[str, tuple[str, str]]]]:
    """Return what an expression selects: name and matchers (label: operator, value) of each selector. A selector
    without a name has `__name__` among its matchers."""
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", " ", expression)
    text = re.sub(r"\[[^\]]*\]|\boffset\s+\w+", " ", text)
    found = []
    for match in _TOKEN.finditer(text):
        word, matchers = match["name"] or match["name_only"], match["matchers"]
        if matchers is not None:
            pairs = re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"', matchers)
            found.append((word or "", {label: (operator, value) for label, operator, value in pairs}))
        elif word and word not in _KEYWORDS and not text[match.end() :].lstrip().startswith("("):
            found.append((word, {}))
    return found


_KEYWORDS = frozenset(("and", "or", "unless", "bool"))
_TOKEN = re.compile(
    r"""
    "(?:[^"\\]|\\.)*"                                                 # a text
    | (?<![\w.])(?P<name>[a-zA-Z_:][\w:]*)?\s*\{(?P<matchers>[^{}]*)\}   # a selector
    | (?<![\w.])(?P<name_only>[a-zA-Z_:][\w:]*)                          # a selector's name, a function or a keyword
    """,
    re.VERBOSE,
)
