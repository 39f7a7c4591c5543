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
from webapp.access.trusted_proxy import TrustedProxy
from webapp.api.errors import Forbidden, Unauthorized
from webapp.credentials import Credential, find
from webapp.roles import EVERYTHING, Grant
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Caller(NamedTuple):
    """The owner of the request's credential: a program with a key, or a person, who has grants."""

    name: str
    grants: tuple[Grant, ...] = ()
    """What a person is granted; a program has none."""
    catalogs: frozenset[str] = frozenset()
    """The catalogs that a program may ask for; none: all."""

    def may(self, role: str, catalog: str | None = None) -> bool:
        """Whether it is a person who has at least this role in a catalog; None: in any."""
        return any(grant.allows(role, catalog) for grant in self.grants)

    def may_ask(self, catalog: str) -> bool:
        """Whether it may be told of a catalog."""
        return self.may("viewer", catalog) if self.grants else not self.catalogs or catalog in self.catalogs

    def check(self, catalog: str, role: str | None = None) -> None:
        """Raise `Forbidden` for a catalog that it may not ask for, whether there is one of this name or not.

        role: what a person must be there, if more than a viewer.
        """
        if not self.may_ask(catalog):
            whose = "You have no role in this catalog" if self.grants else "This key is for other catalogs"
            raise Forbidden("other_catalog", whose)
        if role is not None and not self.may(role, catalog):
            raise Forbidden("no_role", f"This takes the role {role} in this catalog")


Remembered = dict[str, tuple[Credential, Caller]]
MOST_REMEMBERED = 1000


class Callers:
    """Finds the caller in the WSGI environment, which is all that the fast path has of a request."""

    def __init__(
        self, settings: Settings, keys: CredentialStore, operators: CredentialStore, cookies: SignInCookies
    ) -> None:
        self._keys, self._operators = keys, operators
        self._cookies, self._people_sign_in = cookies, settings.people_sign_in
        self._wrong = Throttle(WRONG_CREDENTIALS)
        self._proxy = TrustedProxy(settings)
        self._remembered: tuple[Mapping[str, Credential], Remembered] = ({}, {})
        """The keys of this moment, and who sent which header with one: to hash it anew is a third of what a check
        costs. Both stand together, so that no removed key is found again."""

    def of(self, environ: "WSGIEnvironment") -> Caller | None:
        """Return the caller, or None without a credential. Raises `Unauthorized` for a wrong one."""
        if (vouched := self._proxy.person(environ)) is not None:
            return Caller(vouched.name, vouched.grants)
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is None:
            person = self._cookies.person(environ) if self._people_sign_in else None
            return Caller(person.name, person.grants) if person else None
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
                caller = Caller(key.name, catalogs=key.catalogs)
                remembered[authorization] = (key, caller)
                return caller
            if operator := self.operator(secret.strip()):
                return Caller(operator.name, (EVERYTHING,))
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
