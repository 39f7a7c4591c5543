"""The headers every response carries.

Added around Flask instead of in an `after_request`: there, werkzeug's checks of each header cost a tenth of a request.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
ALWAYS = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]
# A page shows what customers bought: nobody who uses the browser after an operator may find it in the history or on the
# disk. Lists with an entity tag say otherwise (`webapp.api.responses`), and so do static files.
POLICY, LIFETIME = ("Content-Security-Policy", PAGE_POLICY), ("Cache-Control", "no-store")


def install(app: Flask) -> None:
    """Add the headers; a view may set its own policy or lifetime."""
    inner: WSGIApplication = app.wsgi_app

    def with_headers(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            present = {name.lower() for name, _ in headers}
            headers += ALWAYS + [header for header in (POLICY, LIFETIME) if header[0].lower() not in present]
            return start_response(status, headers, *more)

        return inner(environ, start)

    app.wsgi_app = with_headers  # type: ignore[method-assign]
