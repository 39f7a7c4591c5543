"""Signing in with an identity provider, by OpenID Connect (code flow with PKCE).

Authlib keeps state, nonce and PKCE verifier in a signed cookie between the two requests, fetches the provider's
metadata and keys, and fetches the keys again when a token names one that it does not know. A token must be signed by
the provider and be from `WEBAPP_OIDC_ISSUER`, for our client, for this sign-in (nonce), and not expired. Its groups, in
the claim `WEBAPP_OIDC_CLAIM`, are turned into grants by `WEBAPP_ROLES`.
"""

import logging
import secrets
from datetime import timedelta
from hashlib import sha256

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import Flask, session, url_for
from joserfc.errors import JoseError
from werkzeug.wrappers import Response

from webapp.api.errors import ApiError, Forbidden, NotSignedIn, Unavailable
from webapp.roles import Person, granted
from webapp.settings import Settings

TIMEOUT_SECONDS = 5
LEEWAY_SECONDS = 30
"""How far clocks may differ."""
MINUTES_TO_SIGN_IN = 15

log = logging.getLogger(__name__)


class IdentityProvider:
    """The provider of the settings."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._settings = settings
        issuer = str(settings.oidc_issuer)
        self.name = issuer.split("//", 1)[1].split("/")[0]
        self._client = OAuth(app).register(
            "oidc",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret,
            server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.oidc_scope,
                "code_challenge_method": "S256",
                "default_timeout": TIMEOUT_SECONDS,
            },
        )

    def begin(self, back: str) -> Response:
        """Send a browser to the provider; it comes back to `/sign-in/callback`, and from there to `back`."""
        session.clear()
        session.permanent = True  # for 15 minutes
        session["back"] = back
        try:
            url = self._settings.url.rstrip("/") + url_for("operators.callback")
            response: Response = self._client.authorize_redirect(url)
        except (requests.RequestException, AuthlibBaseError, ValueError) as error:
            raise _away(error) from None
        return response

    def end(self) -> tuple[Person, str]:
        """Who came back, and where they wanted to go.

        Raises `NotSignedIn` for an answer that is not valid, `Forbidden` for somebody who is granted nothing, and
        `Unavailable` if the provider does not answer.
        """
        issuer, back = str(self._settings.oidc_issuer), session.get("back", "/")
        expected = {
            "iss": {"essential": True, "values": [issuer, issuer.rstrip("/")]},
            "aud": {"essential": True, "values": [self._settings.oidc_client_id]},
        }
        try:
            token = self._client.authorize_access_token(claims_options=expected, leeway=LEEWAY_SECONDS)
            claims = dict(token["userinfo"])
        except requests.RequestException as error:
            raise _away(error) from None
        except (AuthlibBaseError, JoseError, KeyError, ValueError, TypeError) as error:
            log.warning("a sign-in by %s was refused: %s", self.name, type(error).__name__)
            raise NotSignedIn("not_signed_in", f"{self.name} did not sign anybody in; try again") from None
        finally:
            session.clear()
        name = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
        groups = claims.get(self._settings.oidc_claim)
        grants = granted(self._settings.roles, groups if isinstance(groups, list) else [groups])
        if not grants:
            raise Forbidden("no_role", f"{self.name} knows you, but none of your groups may use this web app")
        return Person(name[:100], grants), back


def _away(error: Exception) -> ApiError:
    log.warning("the identity provider does not answer: %s", type(error).__name__)
    return Unavailable("identity_provider", "The identity provider does not answer; try again")


def install(app: Flask, settings: Settings) -> None:
    """Add the provider of the settings."""
    key = settings.secret_key[0] if settings.secret_key else secrets.token_hex(32)
    is_secure = settings.url.startswith("https://")
    app.secret_key = sha256(f"session {key}".encode()).hexdigest()
    app.config.update(
        SESSION_COOKIE_NAME="__Host-recjobs_session" if is_secure else "recjobs_session",
        SESSION_COOKIE_SECURE=is_secure,
        SESSION_COOKIE_SAMESITE="Lax",  # the browser comes back from the provider's site
        PERMANENT_SESSION_LIFETIME=timedelta(minutes=MINUTES_TO_SIGN_IN),
    )
    app.extensions["identity_provider"] = IdentityProvider(app, settings)
