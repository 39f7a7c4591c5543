"""`python -m webapp`: the web app behind its application server, the same on a laptop and in production.

One process, which answers thousands of requests a second; run as many as are needed. SIGTERM finishes the running
requests first, for 20 seconds at most. A worker ends with its main process (`webapp.wsgi`). A port that is taken is
refused.
"""

import resource
import socket
import sys
from contextlib import suppress
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from webapp.api import logs
from webapp.settings import Settings, SettingsError

OTHER_FILES = 128
"""Open files besides the connections of clients: those to Postgres, above all."""
STOP_SECONDS = 20
"""How long a worker may take to answer its requests after SIGTERM, before SIGKILL."""


class Server(MPServer):
    """granian on a socket of its own.

    granian's own has SO_REUSEPORT, with which a second web app binds the same port without an error, and the kernel
    gives each of them a part of the connections. On Linux a worker listens once it has loaded the app, as before.
    """

    def bind(self) -> None:
        """Bind the address; raises OSError if that is not possible, such as for a port that is taken."""
        if sys.platform == "linux":
            # Two that start at once may both bind the port, as long as neither listens; a name of this kind only one.
            self._claim = socket.socket(socket.AF_UNIX)
            self._claim.bind(f"\0recjobs webapp {self.bind_addr} {self.bind_port}")
        family = socket.AF_INET6 if ":" in self.bind_addr else socket.AF_INET
        self._bound = socket.socket(family, socket.SOCK_STREAM)
        self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bound.bind((self.bind_addr, self.bind_port))
        self._bound.set_inheritable(True)

    def _init_shared_socket(self) -> None:
        fd, self._sso = self._bound.fileno(), self._bound
        holder: Any = SocketHolder  # its stub has no constructor
        if sys.platform == "linux":
            self._shd = holder(fd, False, self.backlog)
        else:
            self._bound.listen(self.backlog)
            self._shd = holder(fd, False)

    def _respawn_workers(self, workers: list[int], *args: Any, **kwargs: Any) -> None:
        # Refuse connections until the next worker listens: a proxy then asks another replica, instead of waiting.
        every: list[Any] = self.wrks
        if sys.platform == "linux" and not any(every[k].is_alive() for k in workers):
            with suppress(OSError):
                self._bound.shutdown(socket.SHUT_RDWR)
        super()._respawn_workers(workers, *args, **kwargs)


def open_files(wanted: int) -> int:
    """Let this process have so many open files, if the system allows it; returns how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
            )
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def main() -> int:
    """Serve until stopped; returns 78 for a wrong setting, and for an address that cannot be listened on."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        print(f"webapp: {error}", file=sys.stderr)
        return 78
    connections = min(settings.connections, open_files(settings.connections + OTHER_FILES) - OTHER_FILES)
    if connections < settings.connections:
        print(
            f"webapp: {connections} connections instead of {settings.connections} (WEBAPP_CONNECTIONS): "
            "the system allows no more open files (`ulimit -Hn`)",
            file=sys.stderr,
        )
    server = Server(
        "webapp.wsgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.threads,
        # By default the server first waits, without a limit, for what HTTP/2 begins with.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=settings.idle_seconds * 1000),
        backpressure=connections,
        log_access=False,
        log_dictconfig=logs.as_json(settings.secrets) if settings.log == "json" else None,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
    )
    try:
        server.bind()
    except OSError as error:
        print(
            f"webapp: cannot listen on port {settings.port} of {settings.host}: {error.strerror or error}. Stop the "
            "program that has it (an earlier web app?), or set WEBAPP_PORT",
            file=sys.stderr,
        )
        return 78
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
