"""Whether a request is answered at all: the name it was sent to, its credential, how often its client asks.

`Admission.admit` decides for every request but the probes. Flask's `before_request` and the fast path both call it; it
reads the WSGI environment, which is all that the fast path has of a request.

Once there are keys, all endpoints but `OPEN` need a credential. Without keys only this machine may read, or, if
`WEBAPP_OPEN` is set, everybody.
"""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from flask import Flask, Response, current_app, g, has_request_context, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.access import credential_store, sign_in_cookies
from webapp.access.callers import Caller, Callers
from webapp.access.credential_store import CredentialStore
from webapp.access.hosts import Hosts
from webapp.access.sign_in_cookies import SignInCookies
from webapp.access.throttle import Throttle, address
from webapp.api.errors import PROBES, UNLIMITED, Forbidden, Unauthorized, is_for_programs
from webapp.api.operations import OPEN
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Admission:
    """Admits requests by the settings."""

    def __init__(
        self, settings: Settings, keys: CredentialStore, operators: CredentialStore, cookies: SignInCookies
    ) -> None:
        self.callers = Callers(settings, keys, operators, cookies)
        self.needs_credential = settings.needs_credential
        self._hosts = Hosts(settings)
        self._https_only = settings.https_only
        self._is_local = not (settings.needs_credential or settings.open)
        self._requests = Throttle(settings.rate_limit) if settings.rate_limit is not None else None
        self._limit = f"At most {settings.rate_limit}"

    def admit(self, environ: "WSGIEnvironment", is_open: bool = False) -> Caller | None:
        """Return the caller, or None: for a page it is not known yet. Raises the `ApiError` of a refused request.

        is_open: the endpoint needs no credential, and none is looked for.
        """
        self._hosts.check(environ)
        if self._https_only and environ["wsgi.url_scheme"] != "https":
            raise Forbidden(
                "https_only", "This web app is used by https only; a key that was sent so should be replaced"
            )
        peer = environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR")
        if self._is_local and not is_of_this_machine(peer):
            raise Forbidden(
                "not_open", "Without API keys only this machine may ask; set RECJOBS_API_KEYS or WEBAPP_OPEN"
            )
        needs_credential = self.needs_credential and not is_open
        caller = self.callers.of(environ) if needs_credential else None
        path = environ["PATH_INFO"]
        if self._requests is not None and not path.startswith(UNLIMITED):
            client = f"key {caller.name}" if caller else address(environ)
            self._requests.count(client, "too_many_requests", self._limit)
        if needs_credential and caller is None and is_for_programs(path):
            raise Unauthorized("missing_credential", "Send a key as `Authorization: Bearer <key>`")
        return caller


@lru_cache(maxsize=1000)
def is_of_this_machine(peer: str | None) -> bool:
    """Whether the other end of a connection is on this machine: at a loopback address, or at none (a Unix socket)."""
    try:
        ip = ip_address(peer or "")
    except ValueError:
        return True
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def install(app: Flask, settings: Settings, has_ended: Callable[[str], bool]) -> None:
    """Admit each request before anything else of it is looked at. has_ended: see `SignInCookies`."""
    operators = credential_store.of_operators(settings)
    sign_in_cookies.install(app, settings, operators, has_ended)
    cookies = app.extensions["sign_in_cookies"]
    admission = Admission(settings, credential_store.of_keys(settings), operators, cookies)
    app.extensions["admission"] = admission

    @app.before_request
    def _admit() -> AnyResponse | None:
        if request.environ["PATH_INFO"] in PROBES:
            return None
        is_page = request.method in ("GET", "HEAD") and not is_for_programs(request.path)
        if is_page and settings.https_only and not request.is_secure:
            return redirect(settings.url.rstrip("/") + request.full_path.rstrip("?"), 308)
        is_open = request.endpoint in OPEN or (request.method == "OPTIONS" and request.url_rule is not None)
        if is_open or not admission.needs_credential:
            admission.admit(request.environ, is_open)
            return None
        g.caller = None  # for the error page of a refused request
        g.caller = admission.admit(request.environ)
        catalog = (request.view_args or {}).get("catalog")
        if catalog is not None:
            check_catalog(catalog)
        if not is_for_programs(request.path) and not (g.caller and g.caller.grants):
            return redirect_to_sign_in(settings)
        return None


def check_catalog(catalog: str) -> None:
    """Raise `Forbidden` where the caller of Flask's request may not do what its view does in a catalog.

    Called whenever a view opens a session on one, so that none is forgotten. The fast path, which is not Flask's,
    checks for itself.
    """
    if has_request_context() and (known := g.get("caller")) is not None:
        known.check(catalog, g.get("role"))


def callers() -> Callers:
    """What finds the callers of the running app."""
    admission: Admission = current_app.extensions["admission"]
    return admission.callers


def caller() -> Caller | None:
    """Return the caller of Flask's request, or None without a credential. Raises `Unauthorized` for a wrong one."""
    if "caller" not in g:
        g.caller = None  # for the error page of a wrong credential
        g.caller = callers().of(request.environ)
    known: Caller | None = g.caller
    return known


def redirect_to_sign_in(settings: Settings) -> Response:
    """Send a person to the sign-in page and back afterwards; raises `Forbidden` where nobody can sign in."""
    if not settings.people_sign_in:
        raise Forbidden(
            "no_operators", "These pages are for operators, and there are none: set WEBAPP_OPERATORS to what "
            "`recjobs operator new NAME` prints"
        )  # fmt: skip
    if request.method not in SAFE_METHODS:
        raise Unauthorized("not_signed_in", "Sign in first")
    back = request.full_path.rstrip("?")
    response: Response = redirect(url_for("operators.sign_in", back=back), 303)  # type: ignore[assignment]
    return response
