"""Wait until started services are healthy, or report why one is not."""

import time

import requests

from local.errors import NotHealthy
from local.processes import Record, Service

POLL_SECONDS = 0.3
AIRFLOW = "/api/v2/monitor/health"
CHECKS = {
    "api-server": (AIRFLOW, "metadatabase"),
    "scheduler": (AIRFLOW, "scheduler"),
    "dag-processor": (AIRFLOW, "dag_processor"),
    "webapp": ("/healthz", None),
    "mlflow": ("/health", None),
}
"""Path that each service is asked at, and the component of Airflow's answer that must be healthy."""


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
                entry = entries[service.name]
                if not entry.process():
                    raise NotHealthy(f"{service.name} ended (its log is {entry.log}):\n{entry.log_tail()}")
            waiting = [s for s in waiting if not _is_healthy(http, s.url or airflow_url, *CHECKS[s.name])]
            if waiting and time.monotonic() > deadline:
                name = waiting[0].name
                log, log_tail = entries[name].log, entries[name].log_tail()
                raise NotHealthy(f"{name} did not answer within {seconds:.0f} s (its log is {log}):\n{log_tail}")
            if waiting:
                time.sleep(POLL_SECONDS)


def _is_healthy(http: requests.Session, url: str, path: str, component: str | None) -> bool:
    try:
        response = http.get(f"{url}{path}", timeout=5)
        return response.ok if not component else (response.json().get(component) or {}).get("status") == "healthy"
    except requests.RequestException:
        return False
