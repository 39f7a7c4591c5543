"""How many connections one address may have open.

The application server has one limit for all addresses together (`WEBAPP_CONNECTIONS`); beyond it everybody waits,
probes too. A thread looks once a second and hangs up on the newest connections of an address that has too many, so that
one client alone cannot keep the others out.
"""

import os
import socket
import threading
from collections import defaultdict
from contextlib import suppress

from webapp.api.client_sockets import OPEN_FILES, client_sockets

LOOK_SECONDS = 1.0


class ConnectionLimit:
    """At most so many connections for each address."""

    def __init__(self, port: int, limit: int) -> None:
        self._port, self._limit = port, limit
        self._seen: set[tuple[str, int]] = set()
        """The connections of the last look: whatever else there is now is newer."""

    def watch(self) -> None:
        """Enforce the limit from now on, in a thread of its own."""
        threading.Thread(target=self._watch, name="connection limit", daemon=True).start()

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_SECONDS):
            # Fewer open files than the limit: no address can have more. To look at each takes 5 microseconds.
            if len(os.listdir(OPEN_FILES)) > self._limit:
                self.enforce()
            else:
                self._seen = set()

    def enforce(self) -> None:
        """Hang up on the newest connections of each address that has too many."""
        of_address: dict[str, list[int]] = defaultdict(list)
        for address, port, _ in client_sockets(self._port):
            of_address[address].append(port)
        too_many: set[tuple[str, int]] = set()
        for address, ports in of_address.items():
            known_first = sorted(ports, key=lambda port: (address, port) not in self._seen)
            too_many |= {(address, port) for port in known_first[self._limit :]}
        for address, port, client in client_sockets(self._port) if too_many else ():
            if (address, port) in too_many:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        self._seen = {(address, port) for address, ports in of_address.items() for port in ports} - too_many
