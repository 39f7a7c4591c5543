"""The web app, by the same server as in production, with nothing but the reader's URL."""

import sys

from local.environment import inherited, without_write_access
from local.ports import HOST
from local.processes import Service
from recjobs.config import Settings


def service(settings: Settings) -> Service:
    """Return the web app as a program to run."""
    port = settings.webapp_port
    ours = {
        "RECJOBS_READER_URL": settings.url_of("reader"),
        "WEBAPP_HOST": HOST,
        "WEBAPP_PORT": str(port),
        "AIRFLOW_URL": f"http://{HOST}:{settings.airflow_port}",
    }
    environment = without_write_access(inherited()) | ours
    return Service(
        "webapp", [sys.executable, "-m", "webapp"], environment, f"http://{HOST}:{port}", port, "WEBAPP_PORT"
    )
