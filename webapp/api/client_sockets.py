"""The sockets of this process to its clients, found among its open files: the application server shows none of them.

Each is a duplicate, so that a socket which the server closes meanwhile cannot be mistaken for another one.
"""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from ipaddress import ip_address

OPEN_FILES = "/dev/fd"
"""The open files of the process that looks, on Linux as on macOS."""


def client_sockets(port: int) -> Iterator[tuple[str, int, socket.socket]]:
    """Each connection to `port` of this process: the client's address and port, and the socket for as long as it is
    looked at."""
    for name in os.listdir(OPEN_FILES):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                with closing(socket.socket(fileno=os.dup(int(name)))) as client:
                    if client.family in (socket.AF_INET, socket.AF_INET6) and client.getsockname()[1] == port:
                        address, client_port = client.getpeername()[:2]
                        yield plain(address), client_port, client


def plain(address: str) -> str:
    """An address as IPv4 if it is one that IPv6 only carries."""
    ip = ip_address(address.partition("%")[0])
    return str(getattr(ip, "ipv4_mapped", None) or ip)
