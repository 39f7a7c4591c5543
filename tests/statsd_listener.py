"""A StatsD server that only listens."""

import socket


class StatsdListener:
    """Keeps what was sent to its port of this machine; `settings` lead a process there."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.settings = {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(self._socket.getsockname()[1])}

    def close(self) -> None:
        self._socket.close()

    def all(self) -> dict[str, str]:
        """Everything that was sent since the last call."""
        self._socket.setblocking(False)
        found = {}
        while True:
            try:
                name, _, value = self._socket.recv(65536).decode().partition(":")
            except BlockingIOError:
                return found
            found[name] = value
