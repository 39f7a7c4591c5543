"""MLflow's app behind the platform's password: what `mlflow server --app-name recjobs` serves.

MLflow's own `basic-auth` has users, permissions and a database of them, and needs packages that nothing else needs.
"""

from mlflow.server.fastapi_app import app as mlflow_app

from local.password import USER, password
from local.password_required import PasswordRequired
from recjobs.config import load_settings

app = PasswordRequired(mlflow_app, USER, password(load_settings()), probe="/health")
