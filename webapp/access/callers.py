"""The caller of a request, by its credential.

A program sends its key, or an operator's secret, as `Authorization: Bearer ...`; a person signs in as an operator and
has a cookie. Whether a request needs a credential: `webapp.access.admission`. Whatever changes something needs an
operator in any case: `webapp.access.operators`.
"""

from typing import TYPE_CHECKING, NamedTuple

from webapp.access.sign_in_cookies import SignInCookies
from webapp.access.throttle import WRONG_CREDENTIALS, Throttle, address
from webapp.api.errors import Unauthorized
from webapp.credentials import Credential, by_digest, find
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Caller(NamedTuple):
    """The owner of the request's credential."""

    name: str
    is_operator: bool


MOST_REMEMBERED = 1000


class Callers:
    """Finds the caller in the WSGI environment, which is all that the fast path has of a request."""

    def __init__(self, settings: Settings, cookies: SignInCookies) -> None:
        self._keys, self._operators = by_digest(settings.api_keys), by_digest(settings.operators)
        self._cookies = cookies
        self._wrong = Throttle(WRONG_CREDENTIALS)
        self._remembered: dict[str, tuple[Credential, Caller]] = {}
        """By header, the keys that programs sent; hashing the same one anew is a third of what a check costs."""

    def of(self, environ: "WSGIEnvironment") -> Caller | None:
        """Return the caller, or None without a credential. Raises `Unauthorized` for a wrong one."""
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is None:
            operator = self._cookies.operator(environ) if self._operators else None
            return Caller(operator.name, True) if operator else None
        remembered = self._remembered.get(authorization)
        if remembered is not None and remembered[0].valid():
            return remembered[1]
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() == "bearer" and secret.strip():
            if key := find(self._keys, secret.strip()):
                return self._remember(authorization, key)
            if operator := self.operator(secret.strip()):
                return Caller(operator.name, True)
        self.count_wrong(environ)
        raise Unauthorized("bad_credential", "This key is not, or no longer, valid; send `Authorization: Bearer <key>`")

    def _remember(self, authorization: str, key: Credential) -> Caller:
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered = {}
        caller = Caller(key.name, False)
        self._remembered[authorization] = (key, caller)
        return caller

    def operator(self, secret: str) -> Credential | None:
        """Return the operator whose secret this is."""
        return find(self._operators, secret)

    def count_wrong(self, environ: "WSGIEnvironment") -> None:
        """Count a wrong credential; raises `TooMany` after ten in a minute from one address."""
        self._wrong.count(
            address(environ), "too_many_wrong_credentials", "Too many wrong credentials from this address"
        )
