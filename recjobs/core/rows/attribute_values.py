"""What values of attributes mean. A value that is not understood is counted and shown, and never permits anything."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

_YES = (
    "true", "1", "yes", "t", "y", "on", "available", "active", "enabled", "in_stock", "instock", "in-stock",
    "published", "visible", "listed", "online", "limited_availability", "onlineonly", "instoreonly", "preorder",
    "presale", "ja", "oui", "si", "sí", "sim", "verfügbar", "disponible",
)  # fmt: skip
_NO = (
    "false", "0", "no", "f", "n", "off", "unavailable", "inactive", "disabled", "out_of_stock", "outofstock",
    "out-of-stock", "sold_out", "soldout", "sold-out", "discontinued", "delisted", "deleted", "archived",
    "draft", "hidden", "unlisted", "offline", "unpublished", "backorder", "nein", "non", "não", "nee",
)  # fmt: skip
AVAILABILITY = dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)
"""Words for availability, in lower case, with _ for a space; schema.org's with their address too."""


@dataclass(frozen=True)
class Misread:
    """Values of one attribute that were not understood: how many of how many, and up to three of them."""

    name: str
    n: int
    of: int
    examples: tuple[str, ...]


def is_missing(value: object) -> bool:
    """Whether there is no value: none, NaN or blank."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and np.isnan(value))


def available(value: object) -> bool | None:
    """Whether an item can be had: by a word, a switch, or a number in stock; None for what is not understood."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    word = str(value).strip().lower().replace(" ", "_")
    word = word.removeprefix("http://schema.org/").removeprefix("https://schema.org/")
    if word in AVAILABILITY:
        return AVAILABILITY[word]
    try:
        number = float(word)
    except ValueError:
        return None
    return number > 0 if np.isfinite(number) else None


def price(value: object) -> float | None:
    """A number from 0 on; None for what is no price."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and number >= 0 else None


def misread(attributes: pd.DataFrame) -> list[Misread]:
    """The attributes with values that are not understood."""
    meanings: dict[str, Callable[[object], object]] = {"price": price, "available": available}
    found = []
    for name, meaning in meanings.items():
        if name not in attributes:
            continue
        values = [value for value in attributes[name].tolist() if not is_missing(value)]
        strange = [value for value in values if meaning(value) is None]
        if strange:
            found.append(Misread(name, len(strange), len(values), examples(strange)))
    return found


_SEPARATORS = (">", ",", ";", "/")


def unsplit_categories(values: Iterable[object], separator: str) -> tuple[str, Misread] | None:
    """(the sign that seems to separate categories, the texts with it), if at least half of the texts have it and none
    has the catalog's; else None."""
    texts = [value for value in values if not is_missing(value)]
    if not texts or any(not isinstance(text, str) or separator in text or text.startswith("[") for text in texts):
        return None
    for sign in _SEPARATORS:
        with_sign = [text for text in texts if sign in str(text).strip(sign)]
        if sign != separator and 2 * len(with_sign) >= len(texts):
            return sign, Misread("categories", len(with_sign), len(texts), examples(with_sign))
    return None


def examples(values: list[object]) -> tuple[str, ...]:
    """Up to three different values, as Python writes them, cut."""
    return tuple(dict.fromkeys(repr(value)[:60] for value in values[:1000]))[:3]
