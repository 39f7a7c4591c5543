"""The sign-in cookie of an operator: signed, and with nothing in it but who it is.

`HttpOnly`, `SameSite=Strict`, and over https `Secure` under a `__Host-` name. It ends after twelve hours, at once when
the operator's entry leaves the settings, and by signing out. It is valid on every replica that has the same
`WEBAPP_SECRET_KEY`. Signing out is noted in Postgres, which is asked at each use: a copy of the cookie is of no use to
any replica, nor after a restart, and no cookie is while Postgres is away.
"""

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.http import parse_cookie

from webapp.access.credential_store import CredentialStore
from webapp.credentials import Credential
from webapp.roles import Grant, Person
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_AGE_SECONDS = 12 * 3600
PROVIDER_MAX_AGE_SECONDS = 3600
"""By an identity provider: who loses a group there, or is locked out, has the role here no longer than this."""


class SignInCookies:
    """Set and read the cookies of one app.

    has_ended: whether a sign-in, by its id, ended by signing out; raises `Unavailable` if that cannot be known.
    """

    def __init__(self, settings: Settings, operators: CredentialStore, has_ended: Callable[[str], bool]) -> None:
        self._operators, self._has_provider = operators, settings.oidc_issuer is not None
        self._secure = settings.url.startswith("https://")
        self.cookie = "__Host-recjobs_operator" if self._secure else "recjobs_operator"
        # The last one signs.
        key = list(reversed(settings.secret_key)) or secrets.token_hex(32)
        self._cookies = URLSafeTimedSerializer(key, salt="operator", signer_kwargs={"digest_method": sha256})
        self._has_ended = has_ended
        self._forms = URLSafeTimedSerializer(key, salt="form", signer_kwargs={"digest_method": sha256})

    def set(self, response: Response, operator: Credential) -> None:
        """Sign an operator in with this response."""
        self._set(response, [operator.name, _proof(operator), secrets.token_hex(8)], MAX_AGE_SECONDS)

    def set_person(self, response: Response, person: Person) -> None:
        """Sign somebody in with this response for whom an identity provider vouched."""
        grants = [[grant.role, sorted(grant.catalogs)] for grant in person.grants]
        self._set(response, [person.name, grants, secrets.token_hex(8)], PROVIDER_MAX_AGE_SECONDS)

    def _set(self, response: Response, content: list[Any], seconds: int) -> None:
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
        if "HTTP_COOKIE" not in environ:
            return None
        try:
            value = parse_cookie(environ)[self.cookie]
            name, proof, number = self._cookies.loads(value, max_age=MAX_AGE_SECONDS)
            if isinstance(proof, list):
                self._cookies.loads(value, max_age=PROVIDER_MAX_AGE_SECONDS)
                grants = tuple(Grant(role, frozenset(catalogs)) for role, catalogs in proof)
                return (Person(name, grants), _digest(number)) if self._has_provider else None
        except (KeyError, BadData, ValueError, TypeError):
            return None
        known = self._operators.current().values()
        operator = next((each for each in known if (each.name, _proof(each)) == (name, proof)), None)
        return None if operator is None else (Person(operator.name), _digest(number))

    def form_token(self) -> str:
        """The token of a form (against CSRF), bound to the request's cookie."""
        return str(self._forms.dumps(_digest(request.cookies.get(self.cookie, ""))))

    def is_form_token(self, token: str) -> bool:
        """Whether a form's token belongs to the request's cookie."""
        try:
            return bool(
                self._forms.loads(token, max_age=MAX_AGE_SECONDS) == _digest(request.cookies.get(self.cookie, ""))
            )
        except BadData:
            return False


def _proof(operator: Credential) -> str:
    # A new secret for the same name ends the sign-ins by the old one.
    return _digest(operator.digest)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def install(app: Flask, settings: Settings, operators: CredentialStore, has_ended: Callable[[str], bool]) -> None:
    """Add the cookies to the app."""
    app.extensions["sign_in_cookies"] = SignInCookies(settings, operators, has_ended)


def sign_in_cookies() -> SignInCookies:
    """The sign-in cookies of the running app."""
    cookies: SignInCookies = current_app.extensions["sign_in_cookies"]
    return cookies
