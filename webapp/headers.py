"""The headers every response carries."""

from flask import Flask, Response, request

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
COMMON = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def install(app: Flask) -> None:
    """Add the headers to each response that has not set its own."""

    @app.after_request
    def _add(response: Response) -> Response:
        for name, value in COMMON.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static":
            # Lists change with the batch and belong to one user: nobody in between may keep them.
            response.headers.setdefault("Cache-Control", "private, no-cache")
        return response
