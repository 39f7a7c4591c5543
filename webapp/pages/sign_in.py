"""The sign-in page of operators."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp.access.admission import callers
from webapp.access.operators import HOW_TO_ENABLE, check_form, check_site, operator_name
from webapp.access.sign_in_cookies import sign_in_cookies
from webapp.api.errors import Forbidden, NotFound, NotSignedIn
from webapp.api.parameters import query
from webapp.postgres import audit, editor
from webapp.settings import current_settings

if TYPE_CHECKING:
    from webapp.access.identity_provider import IdentityProvider

blueprint = Blueprint("operators", __name__)


@blueprint.get("/sign-in")
def sign_in() -> str:
    """The form; without operators, how to enable signing in."""
    back = _local_address(query("back").get("back", "/"))
    return _form(back)


@blueprint.post("/sign-in")
def enter() -> AnyResponse:
    """Sign in with a name and a secret, then go back to the page that asked for it."""
    query()
    if not current_settings().operators:
        raise Forbidden("no_operators", f"There are no operators. {HOW_TO_ENABLE}")
    check_site()
    back = _local_address(request.form.get("back", "/"))
    operator = callers().operator(request.form.get("secret", "").strip())
    if operator is None or operator.name != request.form.get("name", "").strip():
        callers().count_wrong(request.environ)
        name = request.form.get("name", "").strip()
        is_known = any(one.name == name for one in current_settings().operators)  # else it may be the secret
        audit.note("sign_in_failed", name if is_known else "unknown", by="secret")
        page = _form(back, wrong=True)
        return Response(page, status=401, headers={"WWW-Authenticate": 'Form realm="recjobs"'})
    response: Response = redirect(back, 303)  # type: ignore[assignment]
    sign_in_cookies().set(response, operator)
    audit.note("sign_in", operator.name, by="secret")
    return response


@blueprint.get("/sign-in/provider")
def to_provider() -> AnyResponse:
    """Send a person to the identity provider."""
    back = _local_address(query("back").get("back", "/"))
    return _provider().begin(back)


@blueprint.get("/sign-in/callback")
def callback() -> AnyResponse:
    """Sign in whom the identity provider vouches for, then go back to the page that asked for it.

    By a page instead of a redirect: that would still count as coming from the provider's site, and the browser would
    not send the cookie along.
    """
    provider = _provider()
    try:
        person, back = provider.end()
    except (NotSignedIn, Forbidden) as error:
        audit.note("sign_in_failed", "unknown", by=provider.name, why=error.code)
        raise
    audit.note("sign_in", person.name, by=provider.name)
    response = Response(render_template("signed_in.html", back=_local_address(back)))
    sign_in_cookies().set_person(response, person)
    return response


def _form(back: str, wrong: bool = False) -> str:
    settings, provider = current_settings(), _known_provider()
    return render_template(
        "sign_in.html",
        back=back,
        enabled=settings.people_sign_in,
        provider=provider and provider.name,
        by_proxy=settings.url if settings.proxy_user else None,
        has_operators=bool(settings.operators),
        wrong=wrong,
    )


def _known_provider() -> "IdentityProvider | None":
    provider: IdentityProvider | None = current_app.extensions.get("identity_provider")
    return provider


def _provider() -> "IdentityProvider":
    if (provider := _known_provider()) is None:
        raise NotFound("no_provider", "There is no identity provider; WEBAPP_OIDC_ISSUER names one")
    return provider


@blueprint.post("/sign-out")
def leave() -> AnyResponse:
    """Sign out on all replicas, then go to the start page; 503 if that cannot be noted, and the operator stays."""
    query()
    name = operator_name()
    if name is not None:
        check_form()
    if (sign_in_id := sign_in_cookies().sign_in_id(request.environ)) is not None:
        editor.end_sign_in(sign_in_id)
        audit.note("sign_out", name or "unknown")
    response: Response = redirect("/", 303)  # type: ignore[assignment]
    sign_in_cookies().delete(response)
    return response


def _local_address(address: str) -> str:
    """The address if it is one of this app, else `/`: a link to the form must not lead to another site afterwards."""
    parts = urlsplit(address)
    is_local = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc
    return address if is_local and address.isprintable() else "/"
