"""Make the next value while the one before is used."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
