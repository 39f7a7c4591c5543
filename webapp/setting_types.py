"""What a setting's text may be, and what becomes of it."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any

from limits import RateLimitItem, parse
from pydantic import BeforeValidator, InstanceOf

from webapp.credentials import Credential, parse_credentials
from webapp.roles import GroupGrant, parse_roles

MIN_SECRET_LENGTH = 32


def _limit(value: object) -> object:
    try:
        return parse(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("is no limit such as 600/minute or 20/second") from None


def _origins(value: object) -> object:
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    for word in words if isinstance(words, list) else ():
        if not re.fullmatch(r"https?://[a-z0-9.\[\]:-]+", word):
            raise ValueError(f"{word!r} is no origin such as https://shop.example (small letters, no path, no *)")
    return words


def _hosts(value: object) -> object:
    words = value.lower().replace(",", " ").split() if isinstance(value, str) else value
    for word in words if isinstance(words, list) else ():
        if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:]*:[0-9a-f:.]+", word):
            raise ValueError(f"{word!r} is no host such as lists.example.com (no scheme, no port, no *)")
    return words


def _credentials(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not (credentials := parse_credentials(value)):
        raise ValueError("has no entry; the command prints one, and without any the setting must not be there")
    return credentials


def _networks(value: object) -> object:
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        return tuple(ip_network(word) for word in words) if isinstance(words, list | tuple) else words
    except ValueError as error:
        raise ValueError(f"has no address or network such as 10.0.0.7 or 10.1.0.0/16 ({error})") from None


def _header(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"([A-Za-z][A-Za-z0-9-]*)?", value):
        raise ValueError("is no name of a header such as X-Forwarded-User")
    return value


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address to listen on."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address.lower() == "localhost"
    return ip.is_loopback


def _roles(value: object) -> object:
    return parse_roles(value) if isinstance(value, str) else value


def _secret_keys(value: object) -> object:
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    if not words and isinstance(value, str):
        raise ValueError("has no key")
    if isinstance(words, list | tuple) and any(len(word) < MIN_SECRET_LENGTH for word in words):
        raise ValueError(f"has a key of less than {MIN_SECRET_LENGTH} characters")
    return words


def read_credentials(setting: str, path: Path) -> tuple[Credential, ...]:
    """Read the file of a setting. Raises OSError, or ValueError for a text that is not one or has no entry."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeError as error:
        raise ValueError(f"cannot be read ({type(error).__name__})") from None
    credentials: tuple[Credential, ...] = _credentials(text)
    if setting == "WEBAPP_OPERATORS" and any(one.catalogs for one in credentials):
        raise ValueError("an operator is limited to catalogs, which only API keys can be")
    return credentials


Limit = Annotated[InstanceOf[RateLimitItem], BeforeValidator(_limit)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_hosts)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
Header = Annotated[str, BeforeValidator(_header)]
Roles = Annotated[tuple[GroupGrant, ...], BeforeValidator(_roles)]
SecretKeys = Annotated[tuple[str, ...], BeforeValidator(_secret_keys)]
Credentials = Annotated[tuple[Credential, ...], BeforeValidator(_credentials)]
