"""Every setting that may hold a secret, found in the code and in the files that the platform draws, and canaries."""

import re
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from dotenv import dotenv_values

from recjobs.config import ROLES, SECRETS, Settings
from tests.commands import ROOT
from webapp.settings import SECRETS as WEB_SECRETS
from webapp.settings import Settings as WebSettings

CANARY = "c4n4ry-{}-0f9e8d7c6b5a4938271605f4e3d2c1b0"
FOUND = re.compile(r"c4n4ry-[\w-]+")
_MAY_BE_SECRET = re.compile(
    r"PASS|SECRET|TOKEN|_KEY$|_KEYS$|OPERATORS$|_CONN$|_URL$|_URI$|_ISSUER$|_ENDPOINT$|HEADERS$"
)
_HOLDS_URL = re.compile(r"_(URL|URI|CONN|ISSUER|ENDPOINT)$|^RECJOBS_CONNECTION_")
PUBLIC = {"WEBAPP_URL", "AIRFLOW_URL"}
"""Addresses that people see."""
OF_LIBRARIES = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN",
    "RECJOBS_CONNECTION_SHOP", "AIRFLOW_CONN_RECJOBS_MESSAGES",
)  # fmt: skip
"""Those that no model of settings has, and that the documents name."""


@cache
def drawn() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """What `docker/draw-secrets.sh` draws, and the variables of each environment file that it writes."""
    with TemporaryDirectory() as folder:
        subprocess.run(["sh", ROOT / "docker" / "draw-secrets.sh", folder], check=True)
        secrets = dotenv_values(Path(folder) / "drawn", interpolate=False)
        files = {path.name: dotenv_values(path, interpolate=False) for path in Path(folder).glob("*.env")}
    return {name: value or "" for name, value in secrets.items()}, {
        file: {name: value or "" for name, value in values.items()} for file, values in files.items()
    }


@cache
def secret_settings() -> frozenset[str]:
    """Names of settings that hold a secret, or a URL in which one may be."""
    models = [*Settings.model_fields.values(), *WebSettings.model_fields.values()]
    names = {field.alias for field in models if field.alias} | {name for file in drawn()[1].values() for name in file}
    names |= {f"RECJOBS_{role.upper()}_URL" for role in ROLES} | {*SECRETS, *WEB_SECRETS, *OF_LIBRARIES}
    return frozenset(name for name in names - PUBLIC if _MAY_BE_SECRET.search(name) or name in OF_LIBRARIES)


def with_canaries(port: int, *names: str) -> dict[str, str]:
    """Settings with a canary each, as URLs at which nothing answers; names: unless given, all."""
    return {name: _planted(name, canary(name), port) for name in names or sorted(secret_settings())}


def canary(name: str) -> str:
    """The canary of a setting."""
    return CANARY.format(name.lower().replace("_", "-"))


def _planted(name: str, canary: str, port: int) -> str:
    if name.startswith("AIRFLOW_CONN_"):
        return f'{{"conn_type": "http", "host": "http://127.0.0.1:{port}/{canary}", "password": "{canary}"}}'
    if name in {"WEBAPP_OIDC_ISSUER", "OTEL_EXPORTER_OTLP_ENDPOINT"}:
        return f"http://somebody:{canary}@127.0.0.1:{port}"
    return f"postgresql://somebody:{canary}@127.0.0.1:{port}/nowhere" if _HOLDS_URL.search(name) else canary
