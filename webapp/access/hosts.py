"""The names by which the web app may be addressed: those of `WEBAPP_URL` and `WEBAPP_HOSTS`, and this machine's own.

Against DNS rebinding: another site lets a name of its own lead to our address. A browser on this machine, or behind
the firewall, then sends us what that site's page asks for, and shows the page our answer. `Host` has that name.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from webapp.api.errors import Refused
from webapp.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HOST = re.compile(r"([a-z0-9._-]+?|\[[0-9a-f:.]+\])\.?(?::\d{1,5})?", re.ASCII)


class Hosts:
    """The names that are allowed, whatever the port."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = settings.allowed_hosts

    def check(self, environ: "WSGIEnvironment") -> None:
        """Raise `Refused` for a request by any other name, or by none."""
        if name_of(environ.get("HTTP_HOST", "")) not in self._allowed:
            raise Refused(
                "unknown_host", "The web app has no such name; the settings WEBAPP_URL and WEBAPP_HOSTS say its names"
            )


@lru_cache(maxsize=1000)
def name_of(host: str) -> str | None:
    """The name in a `Host` header, in small letters, without its port; None if it is not a host."""
    match = HOST.fullmatch(host.lower())
    return match[1].strip("[]") if match else None
