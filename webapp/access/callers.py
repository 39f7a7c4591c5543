"""Who asks, and whether they may: once there are keys, everything needs a credential but what is named here as open.

A program shows its key, or an operator's secret, as `Authorization: Bearer ...`; a person signs in as an operator and
has a cookie. What changes anything is `webapp.operators`' affair and needs an operator in any case.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.access import throttle
from webapp.access.sign_in_cookies import sign_ins
from webapp.api.errors import Forbidden, Unauthorized, is_for_programs
from webapp.credentials import find
from webapp.settings import Settings

OPEN = {
    "health.alive", "health.ready", "openapi.openapi", "openapi.docs", "operators.sign_in", "operators.enter", "static",
}  # fmt: skip
"""Endpoints that never need a credential: probes, the description of the API, the way in, and what styles it."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Caller:
    """Whose credential came with the request."""

    name: str
    is_operator: bool


def caller(settings: Settings) -> Caller | None:
    """Who asks; None: nobody we know. Raises `Unauthorized` for a credential that is none."""
    if "caller" not in g:
        g.caller = None  # what the page that refuses a wrong credential finds
        g.caller = _caller(settings)
    found: Caller | None = g.caller
    return found


def _caller(settings: Settings) -> Caller | None:
    given = request.headers.get("Authorization")
    if given is None:
        operator = sign_ins().operator() if settings.operators else None
        return Caller(operator.name, True) if operator else None
    scheme, _, secret = given.partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        if key := find(settings.api_keys, secret.strip()):
            return Caller(key.name, False)
        if operator := find(settings.operators, secret.strip()):
            return Caller(operator.name, True)
    throttle.wrong_credential()
    raise Unauthorized("bad_credential", "This key is not, or no longer, valid; send `Authorization: Bearer <key>`")


def install(app: Flask, settings: Settings) -> None:
    """Ask everybody for a credential, if any key is set."""
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
            return to_sign_in(settings)
        return None


def to_sign_in(settings: Settings) -> Response:
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


def comes_from_another_site(settings: Settings) -> bool:
    """Whether the browser says that a page of another site sent this; programs say nothing and are believed."""
    if (fetched := request.headers.get("Sec-Fetch-Site")) is not None:
        return fetched not in ("same-origin", "none")
    if (origin := request.headers.get("Origin")) is not None:
        return urlsplit(origin).netloc not in {request.host, urlsplit(settings.url).netloc}
    return False
