"""`python -m webapp`: the web app behind its application server, the same on a laptop and in production.

One process, which answers thousands of requests a second; run as many as are needed. SIGTERM finishes the running
requests first.
"""

import sys

from granian import Granian
from granian.constants import Interfaces

from webapp.settings import Settings, SettingsError


def main() -> int:
    """Serve until stopped; returns 78 for a wrong setting."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        print(f"webapp: {error}", file=sys.stderr)
        return 78
    Granian(
        "webapp.wsgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.threads,
        backpressure=256,
        log_access=False,
        respawn_failed_workers=True,
    ).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
