"""The sign-in cookie of an operator: signed, and with nothing in it but who it is.

`HttpOnly`, `SameSite=Strict`, and over https `Secure` under a `__Host-` name. It ends when it is not used for
`WEBAPP_SIGN_IN_IDLE_MINUTES`, and after twelve hours (by an identity provider: one), at once when the operator's entry
leaves the settings, and by signing out. It is valid on every replica that has the same `WEBAPP_SECRET_KEY`. Signing out
is noted in Postgres, which is asked at each use: a copy of the cookie is of no use to any replica, nor after a restart,
and no cookie is while Postgres is away.
"""

import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.http import parse_cookie

from webapp.access.credential_store import CredentialStore
from webapp.access.trusted_proxy import PERSON
from webapp.credentials import Credential
from webapp.roles import Grant, Person
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_AGE_SECONDS = 12 * 3600
RENEWED_AFTER_SECONDS = 60
"""A cookie that is older is sent anew with the response."""
PROVIDER_MAX_AGE_SECONDS = 3600
"""By an identity provider: who loses a group there, or is locked out, has the role here no longer than this."""


class SignInCookies:
    """Set and read the cookies of one app.

    has_ended: whether a sign-in, by its id, ended by signing out; raises `Unavailable` if that cannot be known.
    """

    def __init__(self, settings: Settings, operators: CredentialStore, has_ended: Callable[[str], bool]) -> None:
        self._operators, self._has_provider = operators, settings.oidc_issuer is not None
        self._idle_seconds = settings.sign_in_idle_minutes * 60
        self._secure = settings.url.startswith("https://")
        self.cookie = "__Host-recjobs_operator" if self._secure else "recjobs_operator"
        # The last one signs.
        key = list(reversed(settings.secret_key)) or secrets.token_hex(32)
        self._cookies = URLSafeTimedSerializer(key, salt="operator", signer_kwargs={"digest_method": sha256})
        self._has_ended = has_ended
        self._forms = URLSafeTimedSerializer(key, salt="form", signer_kwargs={"digest_method": sha256})

    def set(self, response: Response, operator: Credential) -> None:
        """Sign an operator in with this response."""
        self._set(response, [operator.name, _proof(operator), secrets.token_hex(8), int(time.time())])

    def set_person(self, response: Response, person: Person) -> None:
        """Sign somebody in with this response for whom an identity provider vouched."""
        grants = [[grant.role, sorted(grant.catalogs)] for grant in person.grants]
        self._set(response, [person.name, grants, secrets.token_hex(8), int(time.time())])

    def renew(self, response: Response) -> None:
        """Put off the end of an idle sign-in, with the response to a request that has its cookie."""
        valid = None if "Set-Cookie" in response.headers else self._load(request.environ)
        if valid is not None and time.time() - valid.used_at > RENEWED_AFTER_SECONDS:
            self._set(response, valid.content)

    def _set(self, response: Response, content: list[Any]) -> None:
        seconds = min(self._idle_seconds, content[3] + _most_seconds(content) - int(time.time()))
        value = self._cookies.dumps(content)
        response.set_cookie(self.cookie, value, max_age=seconds, secure=self._secure, httponly=True, samesite="Strict")

    def delete(self, response: Response) -> None:
        """Take the cookie away with this response; a copy of it stays valid until its sign-in has ended."""
        response.delete_cookie(self.cookie, secure=self._secure, httponly=True, samesite="Strict")

    def sign_in_id(self, environ: "WSGIEnvironment") -> str | None:
        """The id of the sign-in whose cookie a request has, ended or not; it does not reveal the cookie."""
        valid = self._read(environ)
        return None if valid is None else valid[1]

    def person(self, environ: "WSGIEnvironment") -> Person | None:
        """Who has the cookie of a request, if it is valid; raises `Unavailable` if that cannot be known."""
        valid = self._read(environ)
        return None if valid is None or self._has_ended(valid[1]) else valid[0]

    def _read(self, environ: "WSGIEnvironment") -> tuple[Person, str] | None:
        """Who has a cookie of ours that is not too old, and the id of the sign-in."""
        loaded = self._load(environ)
        if loaded is None:
            return None
        name, proof, number, _ = loaded.content
        if isinstance(proof, list):
            grants = tuple(Grant(role, frozenset(catalogs)) for role, catalogs in proof)
            return (Person(name, grants), _digest(number)) if self._has_provider else None
        known = self._operators.current().values()
        operator = next((each for each in known if (each.name, _proof(each)) == (name, proof)), None)
        return None if operator is None else (Person(operator.name), _digest(number))

    def _load(self, environ: "WSGIEnvironment") -> "Loaded | None":
        """What a cookie of ours has that is neither too old nor idle for too long."""
        if "HTTP_COOKIE" not in environ:
            return None
        try:
            value = parse_cookie(environ)[self.cookie]
            content, used_at = self._cookies.loads(value, max_age=self._idle_seconds, return_timestamp=True)
            if len(content) == 3:  # by a web app of the release before
                content = [*content, int(used_at.timestamp())]
            age = time.time() - content[3]
        except (KeyError, BadData, ValueError, TypeError, AttributeError):
            return None
        return Loaded(content, used_at.timestamp()) if age <= _most_seconds(content) else None

    def form_token(self) -> str:
        """The token of a form (against CSRF), bound to the sign-in of the request."""
        return str(self._forms.dumps(self._form_owner()))

    def is_form_token(self, token: str) -> bool:
        """Whether a form's token belongs to the sign-in of the request."""
        try:
            return bool(self._forms.loads(token, max_age=MAX_AGE_SECONDS) == self._form_owner())
        except BadData:
            return False

    def _form_owner(self) -> str:
        if (name := request.environ.get(PERSON)) is not None:
            return f"by the proxy: {name}"
        return self.sign_in_id(request.environ) or ""


class Loaded(NamedTuple):
    """The content of a cookie: name, proof or grants, number, when the sign-in began; and when it was last used."""

    content: list[Any]
    used_at: float


def _most_seconds(content: list[Any]) -> int:
    return PROVIDER_MAX_AGE_SECONDS if isinstance(content[1], list) else MAX_AGE_SECONDS


def _proof(operator: Credential) -> str:
    # A new secret for the same name ends the sign-ins by the old one.
    return _digest(operator.digest)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def install(app: Flask, settings: Settings, operators: CredentialStore, has_ended: Callable[[str], bool]) -> None:
    """Add the cookies to the app."""
    cookies = app.extensions["sign_in_cookies"] = SignInCookies(settings, operators, has_ended)

    @app.after_request
    def _renew(response: Response) -> Response:
        cookies.renew(response)
        return response


def sign_in_cookies() -> SignInCookies:
    """The sign-in cookies of the running app."""
    cookies: SignInCookies = current_app.extensions["sign_in_cookies"]
    return cookies
