"""Make the next values while the ones before are used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 2
"""Values that are worked on at a time by default. They are large: memory must not grow with a machine's cores."""
_In = TypeVar("_In")
_T = TypeVar("_T")


def ahead(values: Iterable[_T]) -> Iterator[_T]:
    """The same values in the same order, each made by another thread while the caller uses the one before: two of them
    are held at a time. What making one raises is raised where it would be used."""
    iterator, end = iter(values), object()
    with ThreadPoolExecutor(1) as maker:
        upcoming = maker.submit(next, iterator, end)
        while (value := upcoming.result()) is not end:
            upcoming = maker.submit(next, iterator, end)
            yield value  # type: ignore[misc]  # not `end`


def mapped_ahead(function: Callable[[_In], _T], values: Iterable[_In], threads: int = AT_ONCE) -> Iterator[_T]:
    """The function's results for the values, in order, computed by so many threads while the caller uses the ones
    before: `threads` values are ahead. The values are made by the caller's thread."""
    with ThreadPoolExecutor(threads) as pool:
        upcoming = deque[Future[_T]]()
        for value in values:
            upcoming.append(pool.submit(function, value))
            if len(upcoming) > threads:
                yield upcoming.popleft().result()
        while upcoming:
            yield upcoming.popleft().result()
