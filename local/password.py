"""The password of the local platform's one user, for Airflow and MLflow.

Every user of this machine, and every site that a browser on it shows, reaches 127.0.0.1. So a password is drawn once
and kept in a file that only its owner can read, in the format of Airflow's SimpleAuthManager.
"""

import json
import secrets
from pathlib import Path

from local.files import write_private
from recjobs.config import ROOT, Settings

USER = "admin"


def file(settings: Settings) -> Path:
    """Return the file of the password."""
    return settings.state / "password.json"


def password(settings: Settings) -> str:
    """Return the password, drawn at the first call."""
    path = file(settings)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, json.dumps({USER: secrets.token_urlsafe(24)}) + "\n")
    return str(json.loads(path.read_text())[USER])


def where(settings: Settings) -> str:
    """Return how to sign in, as text for people: the file of the password, not the password."""
    return f"as {USER}; the password is in {shown(file(settings))}"


def shown(path: Path) -> Path:
    """Return a path as a person in the checkout's folder names it."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
