"""Wait until programs that were started answer, and say why when they do not."""

import time
from collections.abc import Callable

import requests

from local.errors import NotHealthy
from local.processes import Record, Service

POLL_SECONDS = 0.3
STALE_SECONDS = 20


def session() -> requests.Session:
    """Return an HTTP session that goes straight to this machine, whatever proxy the environment names."""
    direct = requests.Session()
    direct.trust_env = False
    return direct


def wait(services: list[Service], record: Record, seconds: float) -> None:
    """Return when every service is up and answers.

    Raises `NotHealthy` with the end of its log when one ended, or did not answer in `seconds`.
    """
    deadline = time.monotonic() + seconds
    waiting = list(services)
    with session() as http:
        airflow_url = next((service.url for service in services if service.name == "api-server"), "")
        while waiting:
            entries = record.load()
            for service in services:
                if not entries[service.name].process():
                    entry = entries[service.name]
                    raise NotHealthy(f"{service.name} ended (its log is {entry.log}):\n{entry.last_words()}")
            waiting = [service for service in waiting if not CHECKS[service.name](http, service.url or airflow_url)]
            if waiting and time.monotonic() > deadline:
                name = waiting[0].name
                entry = entries[name]
                said = entry.last_words()
                raise NotHealthy(f"{name} did not answer within {seconds:.0f} s (its log is {entry.log}):\n{said}")
            if waiting:
                time.sleep(POLL_SECONDS)


def answers(http: requests.Session, url: str) -> bool:
    """Whether a GET of `url` is answered with success."""
    try:
        return http.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def _airflow(component: str) -> Callable[[requests.Session, str], bool]:
    def check(http: requests.Session, url: str) -> bool:
        try:
            health = http.get(f"{url}/api/v2/monitor/health", timeout=5).json()
        except requests.RequestException:
            return False
        return bool((health.get(component) or {}).get("status") == "healthy")

    return check


CHECKS: dict[str, Callable[[requests.Session, str], bool]] = {
    "api-server": _airflow("metadatabase"),
    "scheduler": _airflow("scheduler"),
    "dag-processor": _airflow("dag_processor"),
    "webapp": lambda http, url: answers(http, f"{url}/healthz"),
    "mlflow": lambda http, url: answers(http, f"{url}/health"),
}
