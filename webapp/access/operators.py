"""Operators: who may change what is served from the web app, and how they sign in.

    @blueprint.post("/v1/<catalog>/...")
    @operator_required
    def view(catalog): ... operator_name() ...

Without `WEBAPP_OPERATORS` nothing that changes anything can be reached. A person signs in at `/sign-in`, a program
sends the secret as `Authorization: Bearer ...`. A form of a page sends `form_token()` along as `token`.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp.access import callers, throttle
from webapp.access.sign_in_cookies import sign_ins
from webapp.api.errors import Forbidden, Unauthorized, is_for_programs
from webapp.api.parameters import query
from webapp.credentials import find
from webapp.postgres.connection_pool import database

blueprint = Blueprint("operators", __name__)

P = ParamSpec("P")
HOW_TO_SWITCH_ON = "Set WEBAPP_OPERATORS to what `recjobs operator new NAME` prints"


def operator_required(view: Callable[P, AnyResponse | str]) -> Callable[P, AnyResponse | str]:
    """Let only operators in; a person who is not signed in is sent to the form and comes back."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> AnyResponse | str:
        settings = database().settings
        if not settings.operators:
            raise Forbidden("no_operators", f"This is for operators, and there are none. {HOW_TO_SWITCH_ON}")
        known = callers.caller(settings)
        if known is None:
            if is_for_programs(request.path):
                raise Unauthorized("missing_credential", "Send an operator's secret as `Authorization: Bearer ...`")
            return callers.to_sign_in(settings)
        if not known.is_operator:
            raise Forbidden("not_an_operator", "This key may read; to do this takes an operator's secret")
        if request.method not in callers.SAFE_METHODS:
            _check_it_is_ours()
        return view(*args, **kwargs)

    guarded.for_operators = True  # type: ignore[attr-defined]
    return guarded


def operator_name() -> str | None:
    """Who is asking, if it is an operator: the author of a rule, who rolled back. Pages show it, or a way in."""
    settings = database().settings
    known = callers.caller(settings) if settings.operators else None
    return known.name if known and known.is_operator else None


def form_token() -> str:
    """The value of the hidden field `token` that a form which changes anything must have."""
    return sign_ins().form_token()


def _check_it_is_ours() -> None:
    """A browser sends the cookie with whatever form it was shown; raises `Forbidden` unless it was our own."""
    if callers.comes_from_another_site(database().settings):
        raise Forbidden("other_site", "This came from a page of another site")
    if "Authorization" in request.headers:
        return
    token = request.headers.get("X-Form-Token") or request.form.get("token", "")
    if not sign_ins().is_our_form(token):
        raise Forbidden("stale_form", "This form is too old or not ours; load the page again")


@blueprint.get("/sign-in")
def sign_in() -> str:
    """The form; it also tells how to switch signing in on."""
    back = query("back").get("back", "/")
    return render_template("sign_in.html", back=_inside(back), offered=bool(database().settings.operators), wrong=False)


@blueprint.post("/sign-in")
def enter() -> AnyResponse:
    """Sign in with a name and a secret, then go back to where one came from."""
    query()
    settings = database().settings
    if not settings.operators:
        raise Forbidden("no_operators", f"There are no operators. {HOW_TO_SWITCH_ON}")
    if callers.comes_from_another_site(settings):
        raise Forbidden("other_site", "This came from a page of another site")
    back = _inside(request.form.get("back", "/"))
    operator = find(settings.operators, request.form.get("secret", "").strip())
    if operator is None or operator.name != request.form.get("name", "").strip():
        throttle.wrong_credential()
        page = render_template("sign_in.html", back=back, offered=True, wrong=True)
        return Response(page, status=401, headers={"WWW-Authenticate": 'Form realm="recjobs"'})
    response: Response = redirect(back, 303)  # type: ignore[assignment]
    sign_ins().begin(response, operator)
    return response


@blueprint.post("/sign-out")
def leave() -> AnyResponse:
    """Sign out, and go to the start."""
    query()
    if operator_name() is not None:
        _check_it_is_ours()
    response: Response = redirect("/", 303)  # type: ignore[assignment]
    sign_ins().end(response)
    return response


def _inside(address: str) -> str:
    """An address of this app, or the start: a link to the form must not lead to another site afterwards."""
    parts = urlsplit(address)
    inside = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc
    return address if inside and address.isprintable() else "/"


def install(app: Flask) -> None:
    """Give the templates `operator_name()`, `form_token()` and `operators_offered()`."""
    app.jinja_env.globals.update(
        operator_name=operator_name,
        form_token=form_token,
        operators_offered=lambda: bool(database().settings.operators),
    )
