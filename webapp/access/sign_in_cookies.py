"""An operator's sign-in: one signed cookie, which says who it is and proves nothing else.

`HttpOnly`, `SameSite=Strict`, and `Secure` under the `__Host-` name where people come by https. It ends after twelve
hours, and at once when the operator's entry leaves the settings. Nothing is stored here, so it holds on every replica
that has the same `WEBAPP_SECRET_KEY`.
"""

import secrets
from hashlib import sha256

from flask import Flask, Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from webapp.credentials import Credential
from webapp.settings import Settings

LASTS_SECONDS = 12 * 3600


class SignIns:
    """Makes and reads the cookies of one application."""

    def __init__(self, settings: Settings) -> None:
        self._operators = settings.operators
        self._secure = settings.url.startswith("https://")
        self.cookie = "__Host-recjobs_operator" if self._secure else "recjobs_operator"
        key = settings.secret_key or secrets.token_hex(32)
        self._cookies = URLSafeTimedSerializer(key, salt="operator", signer_kwargs={"digest_method": sha256})
        self._forms = URLSafeTimedSerializer(key, salt="form", signer_kwargs={"digest_method": sha256})

    def begin(self, response: Response, operator: Credential) -> None:
        """Sign an operator in with this response."""
        value = self._cookies.dumps([operator.name, _proof(operator), secrets.token_hex(8)])
        response.set_cookie(
            self.cookie, value, max_age=LASTS_SECONDS, secure=self._secure, httponly=True, samesite="Strict"
        )

    def end(self, response: Response) -> None:
        """Sign out with this response."""
        response.delete_cookie(self.cookie, secure=self._secure, httponly=True, samesite="Strict")

    def operator(self) -> Credential | None:
        """Who the request's cookie says is signed in."""
        try:
            name, proof, _ = self._cookies.loads(request.cookies[self.cookie], max_age=LASTS_SECONDS)
        except (KeyError, BadData, ValueError, TypeError):
            return None
        return next((one for one in self._operators if (one.name, _proof(one)) == (name, proof)), None)

    def form_token(self) -> str:
        """What a form must send along, so that another site's form is not taken for ours: bound to this cookie."""
        return str(self._forms.dumps(_digest(request.cookies.get(self.cookie, ""))))

    def is_our_form(self, token: str) -> bool:
        """Whether a form's token was made for the cookie that came with it."""
        try:
            return bool(
                self._forms.loads(token, max_age=LASTS_SECONDS) == _digest(request.cookies.get(self.cookie, ""))
            )
        except BadData:
            return False


def _proof(operator: Credential) -> str:
    # Another secret for the same name ends the sign-ins of the old one.
    return _digest(operator.digest)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def install(app: Flask, settings: Settings) -> None:
    """Keep the one of this application."""
    app.extensions["sign_ins"] = SignIns(settings)


def sign_ins() -> SignIns:
    """The running app's."""
    found: SignIns = current_app.extensions["sign_ins"]
    return found
