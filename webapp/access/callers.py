"""The caller of a request, by its credential.

A program sends its key, or an operator's secret, as `Authorization: Bearer ...`; a person signs in as an operator and
has a cookie. Whether a request needs a credential: `webapp.access.admission`. Whatever changes something needs an
operator in any case: `webapp.access.operators`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from webapp.access.credential_store import CredentialStore
from webapp.access.sign_in_cookies import SignInCookies
from webapp.access.throttle import WRONG_CREDENTIALS, Throttle, address
from webapp.api.errors import Forbidden, Unauthorized
from webapp.credentials import Credential, find

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Caller(NamedTuple):
    """The owner of the request's credential."""

    name: str
    is_operator: bool
    catalogs: frozenset[str] = frozenset()
    """The catalogs that it may ask for; none: all."""

    def may_ask(self, catalog: str) -> bool:
        """Whether it may be told of a catalog."""
        return not self.catalogs or catalog in self.catalogs

    def check(self, catalog: str) -> None:
        """Raise `Forbidden` for a catalog that it may not ask for, whether there is one of this name or not."""
        if not self.may_ask(catalog):
            raise Forbidden("other_catalog", "This key is for other catalogs")


Remembered = dict[str, tuple[Credential, Caller]]
MOST_REMEMBERED = 1000


class Callers:
    """Finds the caller in the WSGI environment, which is all that the fast path has of a request."""

    def __init__(self, keys: CredentialStore, operators: CredentialStore, cookies: SignInCookies) -> None:
        self._keys, self._operators = keys, operators
        self._cookies = cookies
        self._wrong = Throttle(WRONG_CREDENTIALS)
        self._remembered: tuple[Mapping[str, Credential], Remembered] = ({}, {})
        """The keys of this moment, and who sent which header with one: to hash it anew is a third of what a check
        costs. Both stand together, so that no removed key is found again."""

    def of(self, environ: "WSGIEnvironment") -> Caller | None:
        """Return the caller, or None without a credential. Raises `Unauthorized` for a wrong one."""
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is None:
            operator = self._cookies.operator(environ) if self._operators.current() else None
            return Caller(operator.name, True) if operator else None
        keys = self._keys.current()
        known, remembered = self._remembered
        if known is not keys or len(remembered) > MOST_REMEMBERED:
            remembered = {}
            self._remembered = (keys, remembered)
        if (earlier := remembered.get(authorization)) is not None and earlier[0].valid():
            return earlier[1]
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() == "bearer" and secret.strip():
            if key := find(keys, secret.strip()):
                caller = Caller(key.name, False, key.catalogs)
                remembered[authorization] = (key, caller)
                return caller
            if operator := self.operator(secret.strip()):
                return Caller(operator.name, True)
        self.count_wrong(environ)
        raise Unauthorized("bad_credential", "This key is not, or no longer, valid; send `Authorization: Bearer <key>`")

    def operator(self, secret: str) -> Credential | None:
        """Return the operator whose secret this is."""
        return find(self._operators.current(), secret)

    def count_wrong(self, environ: "WSGIEnvironment") -> None:
        """Count a wrong credential; raises `TooMany` after ten in a minute from one address."""
        self._wrong.count(
            address(environ), "too_many_wrong_credentials", "Too many wrong credentials from this address"
        )
