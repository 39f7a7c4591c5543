"""One deployment of the web app, as a client over HTTP sees it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import requests

SILENT_SECONDS = 10


class NoAnswer(Exception):
    """No HTTP response came: the connection was refused, broken or timed out."""


@dataclass(frozen=True)
class Answer:
    """A response, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """By name, in any case."""
    body: bytes
    milliseconds: float

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def summary(self) -> str:
        """Status and the beginning of the body, for a message."""
        return f"{self.status}: {self.body[:120].decode(errors='replace')!r}"


class Deployment:
    """A base URL with the API key that it asks for."""

    def __init__(self, base_url: str, api_key: str | None = None, timeout: float = SILENT_SECONDS) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "recjobs-acceptance"
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"

    def ask(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a path, or POST a JSON body to it; redirects are not followed. Raises `NoAnswer`."""
        method = "GET" if body is None else "POST"
        began = time.perf_counter()
        try:
            response = self._session.request(
                method, self.base_url + path, json=body, headers=headers, timeout=self._timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            reason = error.args[0] if error.args else error
            raise NoAnswer(f"{method} {path}: no answer ({getattr(reason, 'reason', None) or reason})") from None
        took = 1000 * (time.perf_counter() - began)
        return Answer(response.status_code, response.headers, response.content, took)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
