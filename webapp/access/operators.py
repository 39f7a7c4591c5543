"""Operators: who may change what is served from the web app.

    @blueprint.post("/v1/<catalog>/...")
    @operator_required  # or editor_required, viewer_required: see `webapp.roles`
    def view(catalog): ... operator_name() ...

Without `WEBAPP_OPERATORS` nothing that changes anything can be reached. A person signs in at `/sign-in`, a program
sends the secret as `Authorization: Bearer ...`. A form of a page sends `form_token()` as `token`.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import Flask, g, request
from werkzeug.wrappers import Response

from webapp.access.admission import SAFE_METHODS, caller, redirect_to_sign_in
from webapp.access.sign_in_cookies import sign_in_cookies
from webapp.api.errors import Forbidden, Unauthorized, Unavailable, is_for_programs
from webapp.settings import current_settings

P = ParamSpec("P")
HOW_TO_ENABLE = "Set WEBAPP_OPERATORS to what `recjobs operator new NAME` prints"


def role_required(role: str) -> Callable[[Callable[P, Response | str]], Callable[P, Response | str]]:
    """Let only people with a role in; who is not signed in is sent to the form and comes back.

    That the role is one in the catalog of the request is checked when the view opens a session on it.
    """
    return partial(_guard, role)


def _guard(role: str, view: Callable[P, Response | str]) -> Callable[P, Response | str]:
    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Response | str:
        settings = current_settings()
        if not settings.people_sign_in:
            raise Forbidden("no_operators", f"This is for operators, and there are none. {HOW_TO_ENABLE}")
        known = caller()
        if known is None:
            if is_for_programs(request.path):
                raise Unauthorized("missing_credential", "Send an operator's secret as `Authorization: Bearer ...`")
            return redirect_to_sign_in(settings)
        if not known.grants:
            raise Forbidden("not_an_operator", "This key may read; to do this takes an operator's secret")
        if not known.may(role):
            raise Forbidden("no_role", f"This takes the role {role}")
        g.role = role
        if request.method not in SAFE_METHODS:
            check_form()
        return view(*args, **kwargs)

    guarded.for_operators = True  # type: ignore[attr-defined]
    return guarded


operator_required = role_required("operator")
editor_required = role_required("editor")
viewer_required = role_required("viewer")


def operator_name() -> str | None:
    """The caller's name if it is a person who has signed in: the author of a rule, who rolled back."""
    known = caller() if current_settings().people_sign_in else None
    return known.name if known and known.grants else None


def _may(role: str, catalog: str) -> bool:
    # For a template: whether to show what takes a role.
    try:
        known = caller() if current_settings().people_sign_in else None
    except Unavailable:
        return False
    return known is not None and known.may(role, catalog)


def _shown_name() -> str | None:
    # A page says who has signed in, also one that says that Postgres is away: then nobody has.
    try:
        return operator_name()
    except Unavailable:
        return None


def check_form() -> None:
    """Raise `Forbidden` unless a form is our own: a browser sends the cookie with any site's form."""
    check_site()
    if "Authorization" in request.headers:
        return
    token = request.headers.get("X-Form-Token") or request.form.get("token", "")
    if not sign_in_cookies().is_form_token(token):
        raise Forbidden("stale_form", "This form is too old or not ours; load the page again")


def check_site() -> None:
    """Raise `Forbidden` if the browser says that another site's page sent the request; programs send no such header."""
    if (site := request.headers.get("Sec-Fetch-Site")) is not None:
        is_ours = site in ("same-origin", "none")
    else:
        origin, url = request.headers.get("Origin"), current_settings().url
        is_ours = origin is None or urlsplit(origin).netloc in {request.host, urlsplit(url).netloc}
    if not is_ours:
        raise Forbidden("other_site", "This came from a page of another site")


def install(app: Flask) -> None:
    """Give the templates `operator_name()`, `may(role, catalog)`, `form_token()` and `operators_enabled()`."""
    app.jinja_env.globals.update(
        operator_name=_shown_name,
        form_token=lambda: sign_in_cookies().form_token(),
        operators_enabled=lambda: current_settings().people_sign_in,
        may=_may,
    )
