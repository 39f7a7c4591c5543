"""People for whom a proxy vouches by a header, as oauth2-proxy, Authelia or an ingress with a sign-in of its own do.

`WEBAPP_PROXY_USER` names the header with the person's name, `WEBAPP_PROXY_GROUPS` the one with their groups, which
`WEBAPP_ROLES` turns into grants. They count only on connections from `WEBAPP_PROXY_ADDRESSES`; from anywhere else a
request that has one is refused, and not taken for one of somebody unknown. Each request is vouched for anew: no
sign-in of ours can outlast the proxy's.
"""

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from webapp.api.errors import Forbidden
from webapp.roles import Person, granted
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PERSON = "recjobs.proxy_person"
"""In the environ of a request: the name of whom the proxy vouches for, to which its form tokens are bound."""


class TrustedProxy:
    """The proxy of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._user, self._groups = (_key(name) for name in (settings.proxy_user, settings.proxy_groups))
        self._networks, self._roles = settings.proxy_addresses, settings.roles
        self._is_known = lru_cache(maxsize=1000)(self._is_of_the_proxy)

    def person(self, environ: "WSGIEnvironment") -> Person | None:
        """Whom the proxy vouches for; None if the request names nobody.

        Raises `Forbidden` if it names somebody and is not the proxy's, and for somebody who is granted nothing.
        """
        if not self._user or not (environ.get(self._user) or environ.get(self._groups)):
            return None
        # As the connection has it, before X-Forwarded-For is believed.
        if not self._is_known(environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR")):
            raise Forbidden("not_the_proxy", "Only the proxy may say who somebody is, and this is not its address")
        name = _text(environ.get(self._user, "")).strip()
        if not name or "," in name or len(name) > 100 or not name.isprintable():  # a comma: the header came twice
            raise Forbidden("no_person", "The proxy does not say who this is")
        grants = granted(self._roles, (group.strip() for group in _text(environ.get(self._groups, "")).split(",")))
        if not grants:
            raise Forbidden("no_role", "The proxy knows you, but none of your groups may use this web app")
        environ[PERSON] = name
        return Person(name, grants)

    def _is_of_the_proxy(self, peer: str | None) -> bool:
        try:
            address = ip_address(peer or "")
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)


def _key(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}" if header else ""


def _text(header: str) -> str:
    # WSGI has bytes as Latin-1.
    return header.encode("latin-1", "replace").decode("utf-8", "replace")
