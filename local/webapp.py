"""The web app, on the same server as in production, with only its own database URL."""

import sys

from local.environment import inherited, without_write_access
from local.ports import HOST
from local.processes import Service
from recjobs.config import Settings


def service(settings: Settings) -> Service:
    """Return the web app as a program to run."""
    port = settings.webapp_port
    variables = {
        "RECJOBS_WEB_URL": settings.url_of("web"),
        "WEBAPP_HOST": HOST,
        "WEBAPP_PORT": str(port),
        "AIRFLOW_URL": f"http://{HOST}:{settings.airflow_port}",
    }
    environment, url = without_write_access(inherited()) | variables, f"http://{HOST}:{port}"
    return Service("webapp", [sys.executable, "-m", "webapp"], environment, url, port, "WEBAPP_PORT")
