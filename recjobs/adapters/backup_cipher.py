"""Encryption of a back-up's files: AES-256-GCM in chunks, with a key of its own for each file.

A file is 32 random bytes, the salt by which its key is derived (HKDF-SHA256) from the setting's key and its name, then
chunks of a mebibyte with 16 bytes of tag each. A chunk's nonce is its number and whether it is the last one, so
that none can be left out, put elsewhere or cut off (the construction STREAM).
"""

import hmac
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recjobs.errors import BadConfiguration, DataRefused

_CHUNK, _TAG, _SALT = 1 << 20, 16, 32
_KEY = re.compile(r"[0-9a-f]{64}")
SETTING = "RECJOBS_BACKUP_KEY"


def keys_of(setting: str) -> tuple[bytes, ...]:
    """The keys that a setting holds, between commas or blanks. Raises BadConfiguration, without the value."""
    words = setting.replace(",", " ").split()
    if not all(map(_KEY.fullmatch, words)):
        raise BadConfiguration(f"{SETTING} must be of 64 digits in 0-9a-f, as `openssl rand -hex 32` prints them")
    return tuple(map(bytes.fromhex, words))


def key_id(key: bytes) -> str:
    """What a manifest names a key by, without telling anything of it."""
    return hmac.digest(key, b"recjobs back-up: id of a key", "sha256").hex()[:16]


def key_named(name: str, keys: Sequence[bytes], folder: str) -> bytes:
    """The key of an id. Raises BadConfiguration if it is none of these."""
    for key in keys:
        if key_id(key) == name:
            return key
    what = f"has other keys ({', '.join(map(key_id, keys))})" if keys else "is not set"
    raise BadConfiguration(f"{folder} is encrypted with the key {name}, and {SETTING} {what}; nothing was changed")


def encrypted(chunks: Iterable[bytes], key: bytes, name: str) -> Iterator[bytes]:
    """Yield a file's content encrypted. name: of the back-up and the file."""
    salt = secrets.token_bytes(_SALT)
    cipher = _cipher(key, salt, name)
    yield salt
    for number, chunk, is_last in _numbered(chunks, _CHUNK):
        yield cipher.encrypt(_nonce(number, is_last), chunk, None)


def decrypted(chunks: Iterable[bytes], key: bytes, name: str) -> Iterator[bytes]:
    """Yield what was encrypted, each chunk once it is known to be what was written. Raises DataRefused."""
    source = iter(chunks)
    begin = b""
    while len(begin) < _SALT:
        if not (more := next(source, b"")):
            raise DataRefused(f"{name} is damaged: it ends before it begins; take another back-up")
        begin += more
    cipher = _cipher(key, begin[:_SALT], name)
    for number, chunk, is_last in _numbered(_followed(begin[_SALT:], source), _CHUNK + _TAG):
        try:
            yield cipher.decrypt(_nonce(number, is_last), chunk, None)
        except InvalidTag:
            raise DataRefused(
                f"{name} cannot be decrypted: it is damaged, or another file; take another back-up"
            ) from None


def _cipher(key: bytes, salt: bytes, name: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, b"recjobs back-up: " + name.encode()).derive(key))


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11) + bytes([is_last])


def _followed(begin: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield begin
    yield from rest


def _numbered(chunks: Iterable[bytes], size: int) -> Iterator[tuple[int, bytes, bool]]:
    """The same bytes in pieces of one size, with number and whether it is the last, which may be shorter, or empty."""
    number, waiting = 0, bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) > size:
            yield number, bytes(waiting[:size]), False
            del waiting[:size]
            number += 1
    yield number, bytes(waiting), True
