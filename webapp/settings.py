"""The settings of the web app: the only reader of os.environ in this package.

A setting comes from the environment, else from `.env` beside the code, else from `env` in the state folder, which
the embedded platform writes. Hashes of credentials may also be in a file named by `<setting>_FILE`. The database
is that of the first of these places that names `RECJOBS_WEB_URL`, `RECJOBS_READER_URL` or `RECJOBS_DATABASE_URL`, in
this order. `RECJOBS_EDITOR_URL` counts unless a place before its own names `RECJOBS_DATABASE_URL`.
"""

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from flask import current_app
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from webapp import setting_types
from webapp.credentials import parse_credentials
from webapp.setting_types import Credentials, Hosts, Limit, Origins, Roles, SecretKeys, read_credentials

ROOT = Path(__file__).resolve().parent.parent

SECRETS = (
    "RECJOBS_API_KEYS", "WEBAPP_OPERATORS", "WEBAPP_SECRET_KEY", "WEBAPP_OIDC_CLIENT_SECRET", "RECJOBS_EDITOR_URL"
)  # fmt: skip
"""Settings whose value must not appear in a message."""

OTLP_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
"""OpenTelemetry's own settings, which it reads itself."""

NEVER_EMPTY = (
    "RECJOBS_API_KEYS", "RECJOBS_API_KEYS_FILE", "WEBAPP_OPERATORS", "WEBAPP_OPERATORS_FILE", "WEBAPP_SECRET_KEY",
    "WEBAPP_RATE_LIMIT", "WEBAPP_OIDC_ISSUER", "WEBAPP_ROLES", "WEBAPP_PROXY_USER", "WEBAPP_PROXY_ADDRESSES",
)  # fmt: skip
"""Settings that keep somebody out: set but empty, as a variable that is not filled in, they must not count as unset."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and says what is allowed. Retrying cannot help."""


class Settings(BaseModel):
    """The web app's settings; the alias of a field is the name of its setting."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="forbid")

    database_url: str = Field(min_length=1, repr=False)
    """How to reach Postgres: RECJOBS_WEB_URL, else RECJOBS_READER_URL (before the web app had a role of its own), else
    RECJOBS_DATABASE_URL. May hold a password."""
    host: str = Field("127.0.0.1", alias="WEBAPP_HOST")
    """Address to listen on; other than this machine's own only with API keys, or WEBAPP_OPEN."""
    open: bool = Field(False, alias="WEBAPP_OPEN")
    """Whether without API keys everybody may read who reaches the address, from other machines as well."""
    port: int = Field(8000, alias="WEBAPP_PORT", ge=1, le=65535)
    """Port to listen on."""
    connections: int = Field(4096, alias="WEBAPP_CONNECTIONS", ge=16)
    """The most connections of clients, idle ones included; the next ones wait until one ends."""
    connections_per_address: int | None = Field(None, alias="WEBAPP_CONNECTIONS_PER_ADDRESS", ge=1)
    """The most of them from one address; unset: half of them, and behind proxies (WEBAPP_PROXIES) all."""
    idle_seconds: int = Field(30, alias="WEBAPP_IDLE_SECONDS", ge=1, le=60)
    """A connection ends that sends no whole request, line and headers, for this long."""
    threads: int = Field(4, alias="WEBAPP_THREADS", ge=1, le=128)
    """Requests answered at once, which is also the most connections to Postgres that are in use at once. On two cores
    8 and 16 answered no more requests a second than 4, and the slowest hundredth took two to three times as long."""
    database_connections: int | None = Field(None, alias="WEBAPP_DATABASE_CONNECTIONS", ge=1)
    """The most connections to Postgres for reading, for all catalogs together; unset: 20, or the threads if more."""
    database_idle_seconds: int = Field(300, alias="WEBAPP_DATABASE_IDLE_SECONDS", ge=0)
    """Postgres ends one of them that is not used for this long; 0: never."""
    statement_timeout_ms: int = Field(200, alias="WEBAPP_STATEMENT_TIMEOUT_MS", ge=1)
    """Postgres gives up on one statement after this long."""
    keep_mb: int = Field(200, alias="WEBAPP_KEEP_MB", ge=0)
    """The memory of the response cache, for all catalogs together; 0: next to nothing is cached."""
    request_timeout_ms: int = Field(280, alias="WEBAPP_REQUEST_TIMEOUT_MS", ge=2)
    """An API request stops waiting for Postgres after this long, connecting included."""
    page_timeout_ms: int = Field(2000, alias="WEBAPP_PAGE_TIMEOUT_MS", ge=2)
    """The same for a page, which runs several statements."""
    request_log: bool = Field(True, alias="WEBAPP_REQUEST_LOG")
    """Whether each request writes one line of JSON to stderr (never with a user id in it)."""
    log: Literal["text", "json"] = Field("text", alias="RECJOBS_LOG")
    """json: each log line is a JSON object on stdout; text: as people read them, on stderr."""
    metrics: bool = Field(True, alias="WEBAPP_METRICS")
    """Whether requests are counted and `/metrics` shows the numbers, which needs no credential."""
    statsd_host: str = Field("", alias="STATSD_HOST")
    """Where the numbers are sent by UDP as well; unset: nowhere."""
    statsd_port: int = Field(8125, alias="STATSD_PORT", ge=1, le=65535)
    """StatsD's UDP port."""
    traces: Literal["none", "otlp"] = Field("none", alias="OTEL_TRACES_EXPORTER")
    """otlp: each request is an OpenTelemetry span, sent by OTLP over HTTP; needs requirements-tracing.txt."""
    traces_endpoint: str = Field("", alias="OTEL_EXPORTER_OTLP_ENDPOINT", pattern=r"^(https?://.+)?$")
    """Where the collector is; unset: what OpenTelemetry's other variables say, else http://localhost:4318."""
    commit: str = Field("", alias="RECJOBS_COMMIT", pattern=r"^[0-9A-Za-z._-]{0,100}$")
    """The commit that this code was built from, for /info; unset: that of the installed package or the checkout."""
    airflow_url: str | None = Field(None, alias="AIRFLOW_URL", pattern=r"^https?://")
    """Where the page links to for the nights themselves; no link when unset."""

    url: str = Field("http://127.0.0.1:8000", alias="WEBAPP_URL", pattern=r"^https?://")
    """Where people reach the pages; with https the sign-in cookie is sent over https only."""
    hosts: Hosts = Field((), alias="WEBAPP_HOSTS")
    """Other names by which it is addressed, such as the one that programs use inside the network."""
    api_keys: Credentials = Field((), alias="RECJOBS_API_KEYS", repr=False)
    """Hashes of the keys that may read; none: everybody who reaches this address may (WEBAPP_OPEN)."""
    api_keys_file: Path | None = Field(None, alias="RECJOBS_API_KEYS_FILE")
    """A file with more of them, one a line."""
    own_api_keys: Credentials = Field((), repr=False)
    """Those of them that no file has."""
    operators: Credentials = Field((), alias="WEBAPP_OPERATORS", repr=False)
    """Hashes of what operators sign in with; none: nothing can be changed from here."""
    operators_file: Path | None = Field(None, alias="WEBAPP_OPERATORS_FILE")
    """A file with more of them, one a line."""
    own_operators: Credentials = Field((), repr=False)
    """Those of them that no file has."""
    secret_key: SecretKeys = Field((), alias="WEBAPP_SECRET_KEY", repr=False)
    """The first signs the cookies of sign-ins; cookies of the others are valid as well, so that it can be rotated.
    Unset: random, so a sign-in is valid in one process until it ends."""
    sign_in_idle_minutes: int = Field(60, alias="WEBAPP_SIGN_IN_IDLE_MINUTES", ge=1, le=720)
    """A sign-in ends that is not used for this long."""
    oidc_issuer: str | None = Field(None, alias="WEBAPP_OIDC_ISSUER", pattern=r"^https?://[^\s?#]+$")
    """The identity provider by which people sign in (OpenID Connect); pages and API then need a credential."""
    oidc_client_id: str = Field("", alias="WEBAPP_OIDC_CLIENT_ID")
    """Our client at the provider."""
    oidc_client_secret: str | None = Field(None, alias="WEBAPP_OIDC_CLIENT_SECRET", repr=False)
    """Its secret; unset: a public client, by PKCE alone."""
    oidc_scope: str = Field("openid profile email", alias="WEBAPP_OIDC_SCOPE", pattern=r"\bopenid\b")
    """The scopes that are asked for; some providers have one for groups."""
    oidc_claim: str = Field("groups", alias="WEBAPP_OIDC_CLAIM", min_length=1)
    """The claim of an ID token that has somebody's groups: a list, or one text such as an e-mail address."""
    roles: Roles = Field((), alias="WEBAPP_ROLES")
    """Which group has which role where: GROUP=viewer, editor or operator, with :CATALOG+CATALOG for some only."""
    proxy_user: setting_types.Header = Field("", alias="WEBAPP_PROXY_USER")
    """The header by which a trusted proxy names who has signed in there; unset: none is believed."""
    proxy_groups: setting_types.Header = Field("X-Forwarded-Groups", alias="WEBAPP_PROXY_GROUPS")
    """The header with their groups, between commas."""
    proxy_addresses: setting_types.Networks = Field((), alias="WEBAPP_PROXY_ADDRESSES")
    """The addresses of that proxy: from others both headers are refused."""
    https_only: bool = Field(False, alias="WEBAPP_HTTPS_ONLY")
    """Whether a request that came by plain HTTP is redirected (pages) or refused; a proxy says how it came."""
    audit_reads: float = Field(1, alias="WEBAPP_AUDIT_READS", ge=0, le=1)
    """The share of looks at somebody's history that are noted in the audit, with who looked: 1 all, 0 none."""
    editor_url: str | None = Field(None, alias="RECJOBS_EDITOR_URL", min_length=1, repr=False)
    """How to reach Postgres as recjobs_editor, for rules and rolling back; unset: neither is offered."""

    rate_limit: Limit | None = Field(None, alias="WEBAPP_RATE_LIMIT")
    """How often one key, or one address without a key, may ask this process, such as 600/minute; unset: no limit."""
    proxies: int = Field(0, alias="WEBAPP_PROXIES", ge=0, le=5)
    """How many proxies of ours stand in front: that many entries of X-Forwarded-For are believed."""
    cors_origins: Origins = Field((), alias="WEBAPP_CORS_ORIGINS")
    """Sites whose scripts may read the API, such as https://shop.example; none by default."""

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name, own in (("RECJOBS_API_KEYS", "own_api_keys"), ("WEBAPP_OPERATORS", "own_operators")):
            if path := values.get(f"{name}_FILE"):
                try:
                    of_file = read_credentials(name, Path(path))
                except OSError as error:
                    raise ValueError(f"{name}_FILE={path}: cannot be read ({type(error).__name__})") from None
                except ValueError as error:
                    raise ValueError(f"{name}_FILE={path}: {error}") from None
                given = parse_credentials(values.get(name, ""))
                values = values | {name: (*given, *of_file), own: given}
        return values

    @model_validator(mode="after")
    def _check_operators(self) -> Self:
        if scoped := next((one for one in self.operators if one.catalogs), None):
            raise ValueError(f"WEBAPP_OPERATORS: {scoped.name} is limited to catalogs, which only API keys can be")
        return self

    @model_validator(mode="after")
    def _check_timeouts(self) -> Self:
        if self.statement_timeout_ms >= self.request_timeout_ms:
            raise ValueError(
                f"WEBAPP_STATEMENT_TIMEOUT_MS ({self.statement_timeout_ms}) must be below "
                f"WEBAPP_REQUEST_TIMEOUT_MS ({self.request_timeout_ms})"
            )
        return self

    @model_validator(mode="after")
    def _check_reach(self) -> Self:
        if not (self.needs_credential or self.open or setting_types.is_loopback(self.host)):
            raise ValueError(
                f"WEBAPP_HOST={self.host}: without API keys whoever reaches this address reads what any customer "
                "bought; set RECJOBS_API_KEYS to what `recjobs api-key new NAME` prints, or allow it: WEBAPP_OPEN=true"
            )
        return self

    @model_validator(mode="after")
    def _check_provider(self) -> Self:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("WEBAPP_OIDC_ISSUER needs WEBAPP_OIDC_CLIENT_ID, our client at the provider")
        if self.oidc_issuer and not self.roles:
            raise ValueError("WEBAPP_OIDC_ISSUER needs WEBAPP_ROLES, such as shop-team=editor:shop admins=operator")
        issuer = self.oidc_issuer or ""
        if issuer.startswith("http://") and not setting_types.is_loopback(urlsplit(issuer).hostname or ""):
            raise ValueError("WEBAPP_OIDC_ISSUER must be https, but on this machine")
        if "@" in urlsplit(issuer).netloc:
            raise ValueError("WEBAPP_OIDC_ISSUER must have no user and no password: the form of the sign-in shows it")
        if self.proxy_user and not (self.proxy_addresses and self.roles):
            raise ValueError("WEBAPP_PROXY_USER needs WEBAPP_PROXY_ADDRESSES, the proxy's own, and WEBAPP_ROLES")
        if self.https_only and not (self.proxies and self.url.startswith("https://")):
            raise ValueError(
                "WEBAPP_HTTPS_ONLY needs WEBAPP_PROXIES, which say how a request came, and WEBAPP_URL=https..."
            )
        return self

    @property
    def needs_credential(self) -> bool:
        """Whether what is read needs a key or somebody who has signed in."""
        return bool(self.api_keys or self.oidc_issuer or self.proxy_user)

    @property
    def people_sign_in(self) -> bool:
        """Whether anybody can sign in."""
        return bool(self.operators or self.oidc_issuer or self.proxy_user)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The names, in small letters, that a request may be sent to."""
        return frozenset((*LOOPBACK, self.host.lower(), urlsplit(self.url).hostname or "", *self.hosts)) - {
            "",
            "0.0.0.0",  # noqa: S104 - taken out, not listened on
            "::",
        }

    @property
    def secrets(self) -> set[str]:
        """What no log line may have: passwords in URLs, keys that sign cookies, and the headers for the collector of
        traces, which OpenTelemetry quotes if they are wrong."""
        passwords = [urlsplit(url).password or "" for url in (self.database_url, self.editor_url or "")]
        headers = [part for name in OTLP_HEADERS for part in os.environ.get(name, "").split(",")]
        found = {*passwords, *map(unquote, passwords), *self.secret_key, self.oidc_client_secret or "", *headers}
        return {secret.strip() for secret in found} - {""}

    @property
    def most_database_connections(self) -> int:
        """The limit of connections to Postgres for reading."""
        return self.database_connections or max(20, self.threads)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, root: Path = ROOT) -> Self:
        """Read the settings; raises `SettingsError` naming the first one that is missing or wrong."""
        environ = os.environ if environ is None else environ
        try:
            local = dotenv_values(root / ".env")
            state = Path(environ.get("RECJOBS_STATE") or local.get("RECJOBS_STATE") or ".local")
            if (root / state).is_dir() and not os.access(root / state, os.X_OK):
                raise PermissionError(errno.EACCES, "not ours", str(root / state))  # dotenv takes it for a missing file
            places: list[Mapping[str, str | None]] = [environ, local, dotenv_values(root / state / "env")]
        except PermissionError as error:
            raise SettingsError(
                f"{error.filename} belongs to another user: run this as that user, or set RECJOBS_STATE"
            ) from None

        aliases = [field.alias for field in cls.model_fields.values() if field.alias]
        values: dict[str, Any] = {}
        for place in reversed(places):
            values.update(
                {
                    alias: place[alias]
                    for alias in aliases
                    if place.get(alias) or (alias in NEVER_EMPTY and alias in place)
                }
            )
        if empty := next((alias for alias in NEVER_EMPTY if alias in values and not values[alias]), None):
            raise SettingsError(f"{empty} is set but empty: fill it in, or remove it where it is set")
        urls = _urls_of(("RECJOBS_WEB_URL", "RECJOBS_READER_URL", "RECJOBS_DATABASE_URL"), places)
        if not any(urls):
            raise SettingsError(
                "RECJOBS_WEB_URL is not set: start the embedded platform (`make up`), "
                "or set it, or RECJOBS_READER_URL or RECJOBS_DATABASE_URL, to a Postgres URL"
            )
        values["database_url"] = next(filter(None, urls))
        values["RECJOBS_EDITOR_URL"] = _urls_of(("RECJOBS_EDITOR_URL", "RECJOBS_DATABASE_URL"), places)[0] or None
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            shown = f"{name}: " if name in SECRETS else f"{name}={first['input']}: " if name else ""
            raise SettingsError(f"{shown}{first['msg'].removeprefix('Value error, ')}") from None


def _urls_of(settings: Sequence[str], places: Sequence[Mapping[str, str | None]]) -> Sequence[str | None]:
    """The values of these settings in the first place that names any of them."""
    found = ([place.get(setting) for setting in settings] for place in places)
    return next(filter(any, found), [None] * len(settings))


def current_settings() -> Settings:
    """The settings of the running app."""
    settings: Settings = current_app.extensions["settings"]
    return settings
