"""The sign-in cookie of an operator: signed, and with nothing in it but who it is.

`HttpOnly`, `SameSite=Strict`, and over https `Secure` under a `__Host-` name. It ends after twelve hours, at once when
the operator's entry leaves the settings, and by signing out. It is valid on every replica that has the same
`WEBAPP_SECRET_KEY`; what was signed out is known to the process that was asked, and to no other.
"""

import secrets
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from flask import Flask, Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.http import parse_cookie

from webapp.credentials import Credential
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_AGE_SECONDS = 12 * 3600


class SignInCookies:
    """Set and read the cookies of one app."""

    def __init__(self, settings: Settings) -> None:
        self._operators = settings.operators
        self._secure = settings.url.startswith("https://")
        self.cookie = "__Host-recjobs_operator" if self._secure else "recjobs_operator"
        key = settings.secret_key or secrets.token_hex(32)
        self._cookies = URLSafeTimedSerializer(key, salt="operator", signer_kwargs={"digest_method": sha256})
        self._ended: dict[str, float] = {}
        self._forms = URLSafeTimedSerializer(key, salt="form", signer_kwargs={"digest_method": sha256})

    def set(self, response: Response, operator: Credential) -> None:
        """Sign an operator in with this response."""
        value = self._cookies.dumps([operator.name, _proof(operator), secrets.token_hex(8)])
        response.set_cookie(
            self.cookie, value, max_age=MAX_AGE_SECONDS, secure=self._secure, httponly=True, samesite="Strict"
        )

    def sign_out(self, response: Response) -> None:
        """End the sign-in of the request: a copy of its cookie is of no use any more."""
        if (valid := self._read(request.environ)) is not None:
            now = time.time()
            self._ended[valid[1]] = now
            for number, at in list(self._ended.items()):
                if now - at > MAX_AGE_SECONDS:  # too old to be valid in any case
                    self._ended.pop(number, None)
        response.delete_cookie(self.cookie, secure=self._secure, httponly=True, samesite="Strict")

    def operator(self, environ: "WSGIEnvironment") -> Credential | None:
        """The operator whose cookie a request has, if it is valid."""
        valid = self._read(environ)
        return None if valid is None or valid[1] in self._ended else valid[0]

    def _read(self, environ: "WSGIEnvironment") -> tuple[Credential, str] | None:
        """The operator of a valid cookie, and the number of its sign-in."""
        if "HTTP_COOKIE" not in environ:
            return None
        try:
            value = parse_cookie(environ)[self.cookie]
            name, proof, number = self._cookies.loads(value, max_age=MAX_AGE_SECONDS)
        except (KeyError, BadData, ValueError, TypeError):
            return None
        operator = next((each for each in self._operators if (each.name, _proof(each)) == (name, proof)), None)
        return None if operator is None else (operator, number)

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


def install(app: Flask, settings: Settings) -> None:
    """Add the cookies to the app."""
    app.extensions["sign_in_cookies"] = SignInCookies(settings)


def sign_in_cookies() -> SignInCookies:
    """The sign-in cookies of the running app."""
    cookies: SignInCookies = current_app.extensions["sign_in_cookies"]
    return cookies
