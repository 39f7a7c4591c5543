"""Several threads for loops that give Python's lock back."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def in_threads(function: Callable[[_In], _Out], values: Iterable[_In], threads: int) -> list[_Out]:
    """The function's results for the values, in order, computed by this many threads."""
    if threads == 1:
        return [function(value) for value in values]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, values))
