"""MLflow's own UI. The nights need no MLflow server; this one is for people."""

import sys

from local import password
from local.environment import inherited
from local.ports import HOST
from local.processes import Service
from recjobs.config import Settings


def service(settings: Settings) -> Service:
    """Return MLflow's UI as a program to run."""
    password.password(settings)
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", HOST]
    command += ["--port", str(settings.mlflow_port), "--workers", "1", "--app-name", "recjobs"]
    # The store's URL holds a password, so it goes by the environment.
    environment = inherited() | {
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_tracking_uri,
        "MLFLOW_ARTIFACTS_DESTINATION": str(settings.state / "mlartifacts"),
        # Without it also the names 10.*, 172.16.* and 192.168.*, which a site may give to a host of its own.
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST}:{settings.mlflow_port},localhost:{settings.mlflow_port}",
        "RECJOBS_STATE": str(settings.state.absolute()),  # where its password is
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # five more processes for a feature that nobody uses here
    }
    url = f"http://{HOST}:{settings.mlflow_port}"
    return Service("mlflow", command, environment, url, settings.mlflow_port, "MLFLOW_PORT")
