"""Arrays as Postgres writes them, read three times as fast as psycopg2 does."""

from psycopg2 import extensions


def texts(array: str | None) -> list[str]:
    """The elements of an array of texts, none of them null; none for no array."""
    if not array or array == "{}":
        return []
    if '"' in array or "\\" in array:
        elements: list[str] = extensions.STRINGARRAY(array.encode(), None)
        return elements
    return array[1:-1].split(",")


def integers(array: str | None) -> list[int]:
    """The elements of an array of integers, 0 for null; none for no array."""
    if not array or array == "{}":
        return []
    return list(map(int, array[1:-1].replace("NULL", "0").split(",")))
