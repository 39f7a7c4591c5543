"""The caller of a request, and whether it may ask: once there are keys, all endpoints but `OPEN` need a credential.

A program sends its key, or an operator's secret, as `Authorization: Bearer ...`; a person signs in as an operator and
has a cookie. Whatever changes something needs an operator in any case: see `webapp.access.operators`.
"""

from dataclasses import dataclass

from flask import Flask, Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.access import throttle
from webapp.access.sign_in_cookies import sign_in_cookies
from webapp.api.errors import Forbidden, Unauthorized, is_for_programs
from webapp.api.operations import OPEN
from webapp.credentials import find
from webapp.settings import Settings

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Caller:
    """The owner of the request's credential."""

    name: str
    is_operator: bool


def caller(settings: Settings) -> Caller | None:
    """Return the caller, or None without a credential. Raises `Unauthorized` for a wrong one."""
    if "caller" not in g:
        g.caller = None  # for the error page of a wrong credential
        g.caller = _caller(settings)
    known: Caller | None = g.caller
    return known


def _caller(settings: Settings) -> Caller | None:
    authorization = request.headers.get("Authorization")
    if authorization is None:
        operator = sign_in_cookies().operator() if settings.operators else None
        return Caller(operator.name, True) if operator else None
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        if key := find(settings.api_keys, secret.strip()):
            return Caller(key.name, False)
        if operator := find(settings.operators, secret.strip()):
            return Caller(operator.name, True)
    throttle.count_wrong_credential()
    raise Unauthorized("bad_credential", "This key is not, or no longer, valid; send `Authorization: Bearer <key>`")


def install(app: Flask, settings: Settings) -> None:
    """Require a credential of each request, if any key is set."""
    if not settings.api_keys:
        return

    @app.before_request
    def _check() -> AnyResponse | None:
        if request.endpoint in OPEN or (request.method == "OPTIONS" and request.url_rule):
            return None
        known = caller(settings)
        if is_for_programs(request.path):
            if known is None:
                raise Unauthorized("missing_credential", "Send a key as `Authorization: Bearer <key>`")
            return None
        if known is None or not known.is_operator:
            return redirect_to_sign_in(settings)
        return None


def redirect_to_sign_in(settings: Settings) -> Response:
    """Send a person to the sign-in page and back afterwards; raises `Forbidden` where nobody can sign in."""
    if not settings.operators:
        raise Forbidden(
            "no_operators", "These pages are for operators, and there are none: set WEBAPP_OPERATORS to what "
            "`recjobs operator new NAME` prints"
        )  # fmt: skip
    if request.method not in SAFE_METHODS:
        raise Unauthorized("not_signed_in", "Sign in first")
    back = request.full_path.rstrip("?")
    response: Response = redirect(url_for("operators.sign_in", back=back), 303)  # type: ignore[assignment]
    return response
