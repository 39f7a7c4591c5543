"""`python -m acceptance`: what the Makefile's smoke, load and traffic do.

Options come from the command line or from environment variables of their names in capitals. The API key comes from
`API_KEY` only: arguments of a process can be read by everybody on the machine.
"""

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from acceptance import load as load_test
from acceptance import plan as load_plan
from acceptance import smoke as smoke_test
from acceptance import visitors as shop
from acceptance.deployment import Deployment, NoAnswer
from acceptance.golden import GoldenFileError

LOCAL = "http://127.0.0.1:8000"
FAILED, USAGE = 1, 64
REPORT_SECONDS = 10
WAVE_SECONDS = 600
"""Traffic swells and ebbs by half of its rate in this time, so that boards show a curve."""

base_url = click.option("--base-url", envvar="BASE_URL", default=LOCAL, show_default=True, help="Where it is reached.")
api_key = click.option("--api-key", envvar="API_KEY", hidden=True)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document in place of lines.")


@click.group()
def main() -> None:
    """Ask a deployment of the web app, as its clients do. Exit code 0: all is well; 1: something is not; 64: usage."""


@main.command()
@base_url
@api_key
@as_json
@click.option("--catalog", envvar="CATALOG", help="The only catalog to look at; default: all that are published.")
@click.option("--commit", envvar="COMMIT", help="The commit that must run, or its beginning.")
@click.option("--version", envvar="VERSION", help="The version that must run.")
@click.option("--batch", envvar="BATCH", help="The batch that must be live.")
@click.option("--max-age", envvar="MAX_AGE", type=float, default=36, show_default=True, help="Of the lists, in hours.")
@click.option("--wait", envvar="WAIT", type=float, default=0, help="Seconds to wait until it is ready.")
@click.option(
    "--golden", envvar="GOLDEN", multiple=True, type=click.Path(path_type=Path), help="Golden queries in place of ours."
)
def smoke(
    base_url: str, api_key: str | None, as_json: bool, catalog: str | None, commit: str | None, version: str | None,
    batch: str | None, max_age: float, wait: float, golden: tuple[Path, ...],
) -> None:  # fmt: skip
    """Smoke test and golden queries: a line a check, then the result."""
    wanted = smoke_test.Wanted(catalog or None, batch or None, commit or None, version or None, max_age, golden)
    checks = []
    with Deployment(base_url, api_key) as deployment:
        smoke_test.wait_until_ready(deployment, wait)
        for check in smoke_test.run(deployment, wanted):
            checks.append(check)
            if not as_json:
                print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.detail}", flush=True)
    failed = [check for check in checks if not check.passed]
    if as_json:
        print(json.dumps({"base_url": base_url, "passed": not failed, "checks": [asdict(check) for check in checks]}))
    else:
        print(f"{len(failed)} of {len(checks)} failed at {base_url}" if failed else f"{len(checks)} passed")
    sys.exit(FAILED if failed else 0)


users = click.option("--users", envvar="USERS", type=click.Path(path_type=Path), help="File with a user id a line.")
one_catalog = click.option("--catalog", envvar="CATALOG", help="The catalog to ask for; default: the only one.")


@main.command()
@base_url
@api_key
@as_json
@one_catalog
@users
@click.option("--plan", envvar="PLAN", type=click.Path(path_type=Path), default=load_plan.FILE, help="Stages and SLO.")
def load(
    base_url: str, api_key: str | None, as_json: bool, catalog: str | None, users: Path | None, plan: Path
) -> None:  # fmt: skip
    """Load test: a line a stage, then whether each threshold was kept."""
    planned, say = load_plan.read(plan), _silent if as_json else partial(print, flush=True)
    connect = partial(Deployment, base_url, api_key or None)
    clients = _clients(connect, catalog, users, planned.mix, say)
    total, before = load_test.Measured(), 0.0
    for stage in planned.stages:
        load_test.arrive(clients, stage.seconds, lambda at, since=before: planned.rate(since + at), threading.Event())  # type: ignore[misc]
        before += stage.seconds
        measured = clients.measured()
        say(f"     to {stage.target:g}/s in {stage.duration}: {measured}")
        total.add(measured)
    clients.stop()
    total.add(clients.measured())
    say(f"     in all: {total}")
    verdicts = list(load_test.judge(planned, total))
    for verdict in verdicts:
        say(f"{'ok  ' if verdict.passed else 'FAIL'} {verdict.metric} {verdict.condition}: {verdict.value:g}")
    if total.example:
        say(f"     the first failure: {total.example}")
    passed = all(verdict.passed for verdict in verdicts)
    if as_json:
        result = {"base_url": base_url, "passed": passed, "requests": total.requests, "statuses": total.statuses}
        print(json.dumps(result | {"thresholds": [asdict(verdict) for verdict in verdicts]}))
    sys.exit(0 if passed else FAILED)


@main.command()
@base_url
@api_key
@one_catalog
@users
@click.option("--rate", envvar="RATE", type=click.FloatRange(0.1, 1000), default=5, show_default=True, help="A second.")
@click.option("--seconds", envvar="SECONDS", type=float, default=math.inf, help="How long; default: until Ctrl-C.")
def traffic(
    base_url: str, api_key: str | None, catalog: str | None, users: Path | None, rate: float, seconds: float
) -> None:  # fmt: skip
    """A steady, realistic mix of users; a line every ten seconds. Failures do not end it."""
    mix = load_plan.read().mix | {shop.MISSING: 1}
    clients = _clients(partial(Deployment, base_url, api_key or None), catalog, users, mix, partial(print, flush=True))
    stopped, ends = threading.Event(), time.monotonic() + seconds
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    began = time.monotonic()
    while not stopped.is_set() and (left := ends - time.monotonic()) > 0:
        since = time.monotonic() - began

        def wave(at: float, since: float = since) -> float:
            return rate * (1 + 0.5 * math.sin(2 * math.pi * (since + at) / WAVE_SECONDS))

        load_test.arrive(clients, min(REPORT_SECONDS, left), wave, stopped)
        print(f"{time.strftime('%H:%M:%S')} {clients.measured()}", flush=True)
    clients.stop()


def _silent(_: str) -> None:
    pass


def _clients(
    connect: Callable[[], Deployment], catalog: str | None, users: Path | None, mix: dict[str, float],
    say: Callable[[str], object],
) -> load_test.Clients:  # fmt: skip
    ids = shop.users_in(users)
    with connect() as deployment:
        name = shop.catalog_of(deployment, catalog or None)
        visitors, known = shop.visitors_of(deployment, name, ids, mix)
    drawn = min(shop.N_PROBED, len(ids))
    say(f"     asking {name} for {len(ids)} users; of {drawn} drawn, {known} are known to it")
    if not known:
        say("     no visitor is known, so all lists are popular ones: give USERS=FILE with a user id a line")
    return load_test.Clients(connect, visitors)


def run() -> None:
    """Run the command line; an unusable file is one message, and so is a deployment that cannot be asked."""
    try:
        main(prog_name="python -m acceptance", standalone_mode=False)
    except (GoldenFileError, load_plan.PlanError) as error:
        sys.exit(_refused(str(error)))
    except (shop.NoVisitors, NoAnswer) as error:
        _refused(str(error))
        sys.exit(FAILED)
    except click.ClickException as error:
        sys.exit(_refused(error.format_message()))


def _refused(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return USAGE


if __name__ == "__main__":
    run()
