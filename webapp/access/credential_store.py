"""The credentials that are accepted now: those of a setting, and of its file, which is read again when it changes.

Looked at once a second at most. A file that has become unreadable, wrong or empty changes nothing and is logged: half
of a file that is being written must not lock anybody out, and none must not let everybody in.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from webapp.credentials import Credential, by_digest
from webapp.setting_types import read_credentials
from webapp.settings import Settings

CHECK_SECONDS = 1.0

logger = logging.getLogger(__name__)

Signature = tuple[int, int, int]
"""What tells one content of a file from another: inode, time of change, size."""


class CredentialStore:
    """The credentials of one setting. Threads share it.

    setting: its name. own: those that no file has. of_both: with those that the file had at the start.
    """

    def __init__(
        self, setting: str, own: Iterable[Credential], of_both: Iterable[Credential], path: Path | None
    ) -> None:
        self._setting, self._own, self._path = setting, tuple(own), path
        self._known = by_digest(of_both)
        self._signature: Signature | None = None
        self._next_check = 0.0
        self._lock = threading.Lock()

    def current(self) -> Mapping[str, Credential]:
        """By hash; the same object until the file changes."""
        if self._path is not None and time.monotonic() >= self._next_check and self._lock.acquire(blocking=False):
            try:
                self._read_again(self._path)
            finally:
                self._next_check = time.monotonic() + CHECK_SECONDS
                self._lock.release()
        return self._known

    def _read_again(self, path: Path) -> None:
        signature = None
        try:
            status = os.stat(path)  # follows links: a mounted secret is a link that is switched
            signature = (status.st_ino, status.st_mtime_ns, status.st_size)
            if signature == self._signature:
                return
            known = by_digest((*self._own, *read_credentials(self._setting, path)))
        except (OSError, ValueError) as error:
            if signature is None or signature != self._signature:
                reason = type(error).__name__ if isinstance(error, OSError) else error
                logger.warning("%s_FILE=%s stays as it was: %s", self._setting, path, reason)
        else:
            if known != self._known:
                logger.info("%s_FILE=%s was read again: %d entries", self._setting, path, len(known))
                self._known = known
        self._signature = signature


def of_keys(settings: Settings) -> CredentialStore:
    """The API keys."""
    return CredentialStore("RECJOBS_API_KEYS", settings.own_api_keys, settings.api_keys, settings.api_keys_file)


def of_operators(settings: Settings) -> CredentialStore:
    """The operators."""
    return CredentialStore("WEBAPP_OPERATORS", settings.own_operators, settings.operators, settings.operators_file)
