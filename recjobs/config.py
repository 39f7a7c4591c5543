"""Environment -> Settings; catalogs/*.yaml -> Catalog. Nothing else reads either.

Importing this module is cheap: Airflow does so at every parse of the DAG folder.
"""

import errno
import json
import os
import pwd
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote

from dotenv import dotenv_values
from pydantic import ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from recjobs.errors import BadConfiguration

# One thread for BLAS: implicit and the scorer bring threads of their own (two levels of them are 1.6 times slower).
# numpy reads it when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYSPARK_PYTHON": sys.executable,  # else Spark's workers are another Python than ours
}.items():
    os.environ.setdefault(_name, _value)

# implicit warns at its import where it cannot use a GPU; `core.model.cuda` asks it for the reason.
warnings.filterwarnings("ignore", "(CUDA extension is built, but d|D)isabling GPU support")

ROOT = Path(__file__).resolve().parent.parent
"""The checkout (or image folder) this code lies in; relative settings start here."""

ROLES = ("owner", "loader", "publisher", "reader", "editor", "web")

SECRETS = ("RECJOBS_API_KEYS", "RECJOBS_BACKUP_KEY", "WEBAPP_OPERATORS", "OTEL_EXPORTER_OTLP_HEADERS")
"""Settings, also those of libraries, whose whole value is secret, though `SECRET_NAME` does not say so."""

SECRET_NAME = re.compile(r"(^|_)(\w*PASS|\w*PASSWORD|PASSPHRASE|SECRET|SECRET_KEY|ACCESS_KEY|TOKEN|FERNET_KEY)$")
"""Names of settings whose whole value is secret, whoever reads them."""

SHORTEST_SECRET = 4
"""Characters; to hide a shorter text would hide parts of words."""

HIDDEN = "***"
_PASSWORDS = tuple(map(re.compile, (r":(?!//)(\S+)@", r":([^:@/\s]+)@", r"\bpassword=('[^']*'|[^\s&]+)")))
"""Where a URL or a connection string has a password, whatever characters it is of and however wrong the rest is."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """What the environment decides. `.env` and the local platform's `<state>/env` fill in what it leaves open."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True)

    state: Path = Field(default=ROOT / ".local", alias="RECJOBS_STATE")
    """Folder of the local platform: its Postgres, logs, artifacts and process list."""
    data: Path | None = Field(default=None, alias="RECJOBS_DATA")
    """Where relative source paths start; unset: `data/`, else `../shared/data` where that exists."""
    catalogs: Path = Field(default=ROOT / "catalogs", alias="RECJOBS_CATALOGS")
    """Folder of the catalog files."""
    artifacts: str = Field(default="", alias="RECJOBS_ARTIFACTS")
    """Root of what the steps hand over: a path or s3://...; unset: `<state>/artifacts`."""
    database_url: str = Field(default="", alias="RECJOBS_DATABASE_URL")
    """Postgres for everything that has no URL of its own; unset: the local platform's embedded one."""
    owner_url: str = Field(default="", alias="RECJOBS_OWNER_URL")
    """Logs in as recjobs_migrator: migrate and prune."""
    loader_url: str = Field(default="", alias="RECJOBS_LOADER_URL")
    """Logs in as recjobs_loader: copies batches in."""
    publisher_url: str = Field(default="", alias="RECJOBS_PUBLISHER_URL")
    """Logs in as recjobs_publisher: publishes, rolls back, promotes."""
    reader_url: str = Field(default="", alias="RECJOBS_READER_URL")
    """Logs in as recjobs_reader: selects from the served views."""
    editor_url: str = Field(default="", alias="RECJOBS_EDITOR_URL")
    """Logs in as recjobs_editor: changes rules."""
    web_url: str = Field(default="", alias="RECJOBS_WEB_URL")
    """Logs in as recjobs_web: the web app, which reads what recjobs_reader may read."""
    database_space: ByteSize | None = Field(default=None, alias="RECJOBS_DATABASE_SPACE")
    """How large the database may become, such as 200GB: a batch that does not fit is not loaded. Unset: what is free on
    the embedded Postgres' disk decides; that of another server is not known."""
    operator: str = Field(default="", alias="RECJOBS_OPERATOR", max_length=100)
    """Who runs a command, for the audit; unset: the user of the operating system."""
    audit_days: int = Field(default=730, ge=30, alias="RECJOBS_AUDIT_DAYS")
    """Entries of the audit go after so many days."""
    memory: ByteSize | None = Field(default=None, alias="RECJOBS_MEMORY")
    """The memory that a night's steps have, such as 16GiB: a night whose plan needs more does not begin. Unset: what
    this process may have; 0: any night begins."""
    mlflow_tracking_uri: str = Field(default="", alias="MLFLOW_TRACKING_URI")
    """MLflow's store; unset: the local platform's."""
    airflow_database_url: str = Field(default="", alias="AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
    """Airflow's database, for back-ups; unset: `airflow` beside RECJOBS_DATABASE_URL's, if there is one."""
    airflow_cleaning_url: str = Field(default="", alias="RECJOBS_AIRFLOW_DATABASE_URL")
    """The same for tasks of a DAG, from which Airflow hides its own setting: `prune` removes old rows there."""
    airflow_logs: Path | None = Field(default=None, alias="AIRFLOW__LOGGING__BASE_LOG_FOLDER")
    """Folder of Airflow's log files; unset: `<state>/airflow/logs`."""
    airflow_days: int = Field(default=180, ge=30, alias="RECJOBS_AIRFLOW_DAYS")
    """Runs of DAGs, and what Airflow keeps of them in its database, go after so many days."""
    airflow_log_days: int = Field(default=30, ge=1, alias="RECJOBS_AIRFLOW_LOG_DAYS")
    """Airflow's log files go when nothing was written to them for so many days."""
    export_days: int | None = Field(default=None, ge=1, alias="RECJOBS_EXPORT_DAYS")
    """Files that `recjobs export` wrote go after so many days; unset: they stay."""
    backups: str = Field(default="", alias="RECJOBS_BACKUPS")
    """Where the DAG `back_up` writes: a folder or s3://...; unset: it writes none."""
    backups_kept: int = Field(default=14, ge=1, alias="RECJOBS_BACKUPS_KEPT")
    """How many of them stay."""
    backup_key: str = Field(default="", alias="RECJOBS_BACKUP_KEY", repr=False)
    """Encrypts back-ups: 64 digits in 0-9a-f; more, after commas, decrypt older ones. Unset: they are not encrypted."""
    statsd_host: str = Field(default="", alias="STATSD_HOST")
    """Where metrics are sent by UDP; unset: nowhere."""
    statsd_port: Port = Field(default=8125, alias="STATSD_PORT")
    """StatsD's UDP port."""
    log: Literal["text", "json"] = Field(default="text", alias="RECJOBS_LOG")
    """How log lines are written: as text for people, or each as a JSON object."""
    traces: Literal["none", "otlp"] = Field(default="none", alias="OTEL_TRACES_EXPORTER")
    """otlp: each night is an OpenTelemetry trace and each step a span of it, sent by OTLP over HTTP."""
    traces_endpoint: str = Field(default="", alias="OTEL_EXPORTER_OTLP_ENDPOINT", pattern=r"^(https?://.+)?$")
    """Where the collector is; unset: what OpenTelemetry's other variables say, else http://localhost:4318."""
    threads: int = Field(default=0, ge=0, alias="RECJOBS_THREADS")
    """Threads for training and scoring; 0: one per core; 1: byte-identical lists on one kind of processor."""
    spark_master: str = Field(default="local[*]", alias="RECJOBS_SPARK_MASTER")
    """Where nights of catalogs with `engine: spark` compute: local[*], spark://HOST:PORT or k8s://https://HOST:PORT."""
    webapp_url: str = Field(default="", alias="WEBAPP_URL")
    """Where people reach the web app; unset: http://127.0.0.1:<WEBAPP_PORT>."""
    webapp_port: Port = Field(default=8000, alias="WEBAPP_PORT")
    """Port of the local web app."""
    airflow_port: Port = Field(default=8080, alias="AIRFLOW_PORT")
    """Port of the local Airflow."""
    postgres_port: Port = Field(default=5433, alias="POSTGRES_PORT")
    """Port of the embedded Postgres."""
    mlflow_port: Port = Field(default=5000, alias="MLFLOW_PORT")
    """Port of `make mlflow`."""

    def url_of(self, role: str) -> str:
        """The URL for owner, loader, publisher, reader, editor or web: its own, else the one for everything."""
        url = getattr(self, f"{role}_url") or self.database_url
        if not url:
            raise BadConfiguration(
                f"no database: RECJOBS_DATABASE_URL is not set and no embedded Postgres was made in {self.state}. "
                "Run `make up`, or set RECJOBS_DATABASE_URL"
            )
        return str(url)


def load_settings() -> Settings:
    """Settings from the environment, else `.env`, else the local platform's `<state>/env`.

    A role's own URL takes precedence over RECJOBS_DATABASE_URL of the same origin, not of one before it. Raises
    BadConfiguration with the name of a wrong setting, or of a file that another user's platform keeps to itself.
    """
    try:
        dotenv = ROOT / ".env"
        # Each look costs a millisecond, and a night asks some hundred times: none for a file that is not there.
        environment = _of_environment(frozenset(os.environ.items()))
        explicit = environment, Settings(_env_file=dotenv) if dotenv.exists() else environment
        state_env = explicit[1].state / "env"
        if state_env.parent.is_dir() and not os.access(state_env.parent, os.X_OK):
            raise PermissionError(errno.EACCES, "not ours", str(state_env.parent))  # not for Path.is_file() to hide
        settings = Settings(_env_file=(state_env, dotenv)) if state_env.exists() else explicit[1]
    except PermissionError as error:
        raise BadConfiguration(
            f"{error.filename} belongs to another user, whose platform this is: run this as that user, or set "
            "RECJOBS_STATE to a folder of your own"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = first["loc"][0]
        raise BadConfiguration(f"setting {name}={first['input']!r}: {first['msg'].lower()}") from None
    folders = (ROOT / "data", ROOT.parent / "shared" / "data")
    defaults = {
        "data": settings.data or next((folder for folder in folders if folder.is_dir()), folders[0]),
        "operator": settings.operator or _user_of_the_system(),
        "artifacts": settings.artifacts or str(settings.state / "artifacts"),
        "webapp_url": settings.webapp_url or f"http://127.0.0.1:{settings.webapp_port}",
    }
    for role in ROLES:
        # settings of a release that had no role for the web app: it is the reader
        names = [f"{role}_url", *(["reader_url"] if role == "web" else []), "database_url"]
        urls = (getattr(origin, name) for origin in (*explicit, settings) for name in names)
        defaults[f"{role}_url"] = next(filter(None, urls), "")
    return settings.model_copy(update=defaults)


@lru_cache(maxsize=1)
def _of_environment(_variables: frozenset[tuple[str, str]]) -> Settings:
    return Settings(_env_file=None)


def _user_of_the_system() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user that has no entry
        return f"uid {os.getuid()}"


def secrets_of(settings: Settings | None) -> set[str]:
    """Every password and key in the environment, `.env` and the local platform's `env`: never to be shown.

    They are the values of `SECRETS` and of names like `SECRET_NAME`, the passwords in URLs, and of Airflow's
    connections also the address, since a webhook's is a secret. None: the settings cannot be read, so only those of
    the environment and of `.env`.
    """
    urls = [] if settings is None else [getattr(settings, f"{role}_url") for role in ROLES]
    secrets = {password for url in urls for password in _passwords(url)}
    for name, value in _values(settings).items():
        if name in SECRETS or SECRET_NAME.search(name):
            secrets |= {value, *value.replace(",", " ").split()}
        elif name.startswith("AIRFLOW_CONN_"):
            secrets |= {value, *_of_connection(value)}
        secrets |= {*_passwords(value)}
    return {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}


def _values(settings: Settings | None) -> Mapping[str, str]:
    """The environment, else `.env`, else the local platform's `env`, without what is empty."""
    files = [ROOT / ".env"] if settings is None else [settings.state / "env", ROOT / ".env"]
    merged: dict[str, str | None] = {}
    for file in files:
        merged |= dotenv_values(file)
    return {name: value for name, value in {**merged, **os.environ}.items() if value}


def _passwords(text: str) -> Iterator[str]:
    for pattern in _PASSWORDS:
        for match in pattern.finditer(text):
            yield from (match[1].strip("'"), unquote(match[1].strip("'")))


def _of_connection(value: str) -> Iterator[str]:
    """What is secret in an Airflow connection that is written as JSON."""
    try:
        parts = json.loads(value)
    except ValueError:
        return
    if isinstance(parts, dict):
        address = str(parts.get("host") or "")
        yield from (address if "/" in address else "", str(parts.get("password") or ""))


def without_secrets(text: str, secrets: Iterable[str] | None = None) -> str:
    """The text with each secret replaced by `***`. secrets: unless given, those of the settings as they are now."""
    if secrets is None:
        try:
            secrets = secrets_of(load_settings())
        except BadConfiguration:
            secrets = secrets_of(None)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def connection_url(name: str) -> str:
    """The URL of a source's `connection: shop`: the setting RECJOBS_CONNECTION_SHOP, looked up like the others.

    Raises BadConfiguration when it is not set.
    """
    setting = f"RECJOBS_CONNECTION_{name.upper()}"
    if url := _values(load_settings()).get(setting):
        return url
    raise BadConfiguration(
        f"{setting} is not set, and a source has `connection: {name}`; set it to a URL such as "
        "postgresql://reader@db.example.com/shop, in the environment or in .env"
    )
