"""Free ports of this machine."""

import contextlib
import random
import socket

from local.errors import PortTaken

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of 127.0.0.1 now."""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        return True
    return False


def require_free(port: int, setting: str) -> None:
    """Raise `PortTaken`, naming the setting that moves it, unless `port` is free."""
    if not is_free(port):
        raise PortTaken(port, setting)


def any_free() -> int:
    """Return a port that is free now, below those that systems give to clients: none of them takes it meanwhile."""
    while not is_free(port := random.randrange(10_000, 32_000)):  # noqa: S311 - no secret
        pass
    return port
