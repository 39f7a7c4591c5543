"""The address of a client, as one name to count by."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

WITH_PORT = re.compile(r"(?P<v4>[0-9.]+):\d+|\[(?P<v6>[^\]]+)\](?::\d+)?")
"""An address as some proxies write it into X-Forwarded-For, with the client's port."""


@lru_cache(maxsize=10_000)
def client_network(text: str) -> str:
    """Return the address without a port; for IPv6 its /64, which is what one client gets; any other text as it is."""
    if match := WITH_PORT.fullmatch(text.strip()):
        text = match["v4"] or match["v6"]
    try:
        ip = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return text[:64]
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or IPv6Network((ip, 64), strict=False))
    return str(ip)
