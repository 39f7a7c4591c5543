"""The smoke test: does this deployment serve what it should, of the release and the batch that it should?"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from acceptance import golden
from acceptance.contract import Failed, check_list, check_schema
from acceptance.deployment import Deployment, NoAnswer

POLL_SECONDS = 0.5
N_LIST = 20
N_SIMILAR = 5
"""Items whose similar lists are asked for: that of a new item may be empty, those of all popular ones may not."""


@dataclass(frozen=True)
class Wanted:
    """What a deployment should be; None: anything."""

    catalog: str | None = None
    """The only catalog to look at; None: every catalog that has a live batch."""
    batch: str | None = None
    commit: str | None = None
    """The commit, or its beginning."""
    version: str | None = None
    max_age_hours: float = 36
    """How old the lists may be: a night, and half a day to repair one."""
    golden: tuple[Path, ...] = ()
    """Files of golden queries in place of the catalog's own."""


@dataclass(frozen=True)
class Check:
    """One line of the result."""

    name: str
    passed: bool
    detail: str
    """What was found, or what is wrong."""


def wait_until_ready(deployment: Deployment, seconds: float) -> None:
    """Return when `/readyz` is 200, or after this long: the smoke test then says what is wrong."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if deployment.ask("/readyz").status == 200:
                return
        except NoAnswer:
            pass
        time.sleep(POLL_SECONDS)


def run(deployment: Deployment, wanted: Wanted) -> Iterator[Check]:
    """Yield every check as it is done. If nothing answers, there is only the first."""
    alive = _done("alive", partial(_alive, deployment))
    yield alive
    if not alive.passed and "no answer" in alive.detail:
        return
    yield _done("ready", partial(_ready, deployment))
    yield _done("release", partial(_release, deployment, wanted))
    try:
        catalogs = _catalogs(deployment, wanted)
    except (Failed, NoAnswer) as error:
        yield Check("catalogs", False, str(error))
        return
    for catalog in catalogs:
        yield _done(f"batch of {catalog}", partial(_batch, deployment, catalog, wanted))
        yield _done(f"lists of {catalog}", partial(_lists, deployment, catalog))
        yield _done(f"age of {catalog}", partial(_age, deployment, catalog, wanted))
        for query in (query for path in wanted.golden or golden.files_of(catalog) for query in golden.read(path)):
            yield _done(f"golden {catalog}: {query.name}", partial(golden.check, deployment, query, catalog))


def _done(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except (Failed, NoAnswer) as error:
        return Check(name, False, str(error))


def _found(deployment: Deployment, path: str, schema: str) -> Any:
    answer = deployment.ask(path)
    if answer.status != 200:
        raise Failed(f"GET {path} is {answer.summary}, not 200")
    return check_schema(path, answer, schema)


def _alive(deployment: Deployment) -> str:
    _found(deployment, "/healthz", "Alive")
    return deployment.base_url


def _ready(deployment: Deployment) -> str:
    return f"{len(_found(deployment, '/readyz', 'Ready')['live'])} catalogs are served"


def _release(deployment: Deployment, wanted: Wanted) -> str:
    info = _found(deployment, "/info", "Info")
    commit, version = info["commit"], info["version"]
    if wanted.commit and not commit.startswith(wanted.commit):
        raise Failed(f"commit {commit or 'unknown'} runs, not {wanted.commit}")
    if wanted.version and version != wanted.version:
        raise Failed(f"version {version or 'unknown'} runs, not {wanted.version}")
    return f"version {version or 'unknown'}, commit {commit or 'unknown'}"


def _live(deployment: Deployment) -> dict[str, str | None]:
    live: dict[str, str | None] = _found(deployment, "/info", "Info")["live"]
    return live


def _catalogs(deployment: Deployment, wanted: Wanted) -> list[str]:
    live = _live(deployment)
    if wanted.catalog:
        if wanted.catalog not in live:
            raise Failed(f"there is no catalog {wanted.catalog}, only {', '.join(live) or 'none at all'}")
        return [wanted.catalog]
    if not (published := [catalog for catalog, batch in live.items() if batch]):
        raise Failed("nothing is published in any catalog; give CATALOG to name one")
    return published


def _batch(deployment: Deployment, catalog: str, wanted: Wanted) -> str:
    live = _live(deployment)[catalog]
    if live is None:
        raise Failed("nothing is published")
    if wanted.batch and live != wanted.batch:
        raise Failed(f"batch {live} is live, not {wanted.batch}")
    served = _found(deployment, f"/v1/{catalog}/popular?n=1", "Popular")["batch_id"]
    if served != live and served != _live(deployment)[catalog]:  # a publish may have come in between
        raise Failed(f"lists of batch {served} are served, but {live} is live")
    return live


def _lists(deployment: Deployment, catalog: str) -> str:
    path = f"/v1/{catalog}/popular?n={N_LIST}"
    popular = _found(deployment, path, "Popular")
    check_list(path, popular)
    path = f"/v1/{catalog}/recommendations?user_id=nobody-{time.time_ns():x}&n={N_LIST}"
    check_list(path, _found(deployment, path, "Recommendations"))
    lengths = []
    for item in popular["items"][:N_SIMILAR]:
        path = f"/v1/{catalog}/similar?item_id={quote(item['item_id'], safe='')}&n={N_LIST}"
        similar = _found(deployment, path, "Similar")
        check_list(path, similar, may_be_empty=True)
        lengths.append(len(similar["items"]))
    if not any(lengths):
        raise Failed(f"the lists of similar items of the {len(lengths)} most popular items are all empty")
    return f"popular: {len(popular['items'])}, similar: {max(lengths)} items"


def _age(deployment: Deployment, catalog: str, wanted: Wanted) -> str:
    hours = _found(deployment, f"/v1/{catalog}/popular?n=1", "Popular")["age_seconds"] / 3600
    if hours > wanted.max_age_hours:
        raise Failed(f"the lists are {hours:.1f} hours old, at most {wanted.max_age_hours:g} allowed")
    return f"{hours:.1f} hours"
