"""A cache of recent responses with a limit in bytes; the least recently used is dropped first."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from typing import Any, Protocol


class Sized(Protocol):
    """A value that knows its approximate size in memory."""

    @property
    def size(self) -> int:
        """Bytes."""


class ResponseCache:
    """At most max_bytes of values by their keys. Threads share it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._changing = threading.Lock()

    def get(self, key: Hashable) -> Any:
        """The value of a key, or None."""
        value = self._values.get(key)
        if value is not None:
            with suppress(KeyError):  # another thread may have dropped it
                self._values.move_to_end(key)
        return value

    def put(self, key: Hashable, value: Sized) -> None:
        """Set the value of a key, and drop what exceeds the limit."""
        with self._changing:
            old = self._values.pop(key, None)
            self._values[key] = value
            self._bytes += value.size - (0 if old is None else old.size)
            while self._bytes > self._max_bytes:
                self._bytes -= self._values.popitem(last=False)[1].size
