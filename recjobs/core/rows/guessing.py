"""What a file's columns are, guessed from names and values: ids, times, weights, kinds, and attributes of items."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows import attribute_values
from recjobs.core.rows.row_filter import as_numbers
from recjobs.core.rows.times import likely_unit, settings_of
from recjobs.core.rows.validation import EARLIEST, as_microseconds
from recjobs.errors import DataRefused

_WHO = r"(user|customer|visitor|reviewer|member|client|buyer|account|person|reader|listener|borrower|patron|subscriber)"
_WHAT = (
    r"(item|product|article|movie|film|track|artist|book|game|song|stock|goods?|variant|anime|recipe|video|content|"
    r"business|venue|restaurant|hotel|listing|course|podcast|episode|app)"
)
_ID = r"(id|ids|no|nr|number|key|code|uuid|hash|sha ?1|sku)"
NAMES: dict[str, tuple[str, ...]] = {
    "user_id": (rf"{_WHO} ?(pseudo ?)?{_ID}", rf"{_WHO}", rf".*{_WHO} ?{_ID}.*", rf"(.* )?({_WHO} )?e ?mail( .*)?",
                r".*response ?id", rf".*{_WHO}( .*)?", r"(.* )?session( ?id)?"),
    "item_id": (rf"(line ?item )?{_WHAT} ?{_ID}", r"(line ?item |parent )?(asin|isbn|sku|upc|ean|gtin|barcode)( .*)?",
                rf".*{_WHAT} ?{_ID}( .*)?", r".*(asin|isbn|sku)( .*)?", rf"{_WHAT}",
                rf"(line ?item|{_WHAT}) ?(name|title)"),
    "occurred_at": (r"(event ?|unix ?|order ?|invoice ?|purchase ?|t ?)?(timestamp|time|date ?time|date|dat)",
                    r"(date )?(occurred|created|ordered|bought|rated|played|viewed)( ?(at|on))?",
                    r"unix ?review ?time", r"ts|at|when",
                    r".*timestamp", r"(.* )?(time|date|datetime|at|when)", r"t ?dat"),
    "rating": (r"(.* )?(rating|stars|overall|score)",),
    "quantity": (r"(line ?item |item |product )?(quantity|qty|count|amount)( .*)?",
                 r"(n ?)?(plays?|listens?)( ?count)?", r"(.* )?(play ?count|quantity|qty)", r"hours( ?played)?|weight"),
    "kind": (r"(event|action|interaction|behaviou?r|activity)( ?(type|name|kind))?", r"type|kind"),
    "title": (rf"(line ?item |{_WHAT} )?(title|name|label)", r"(prod|produit|artikel) ?(name|bezeichnung)|bezeichnung",
              r"(short ?|product |item )?description", r".*(title|name)"),
    "categories": (rf"({_WHAT} )?(categor(y|ies)|genres?|department|tags|taxonomy|aisle|type)( name)?",
                   r"(.* )?(category|categories|genre|genres)( name)?( .*)?", r"product (group|type) name",
                   r"department( id)?|aisle( id)?"),
    "price": (r"(line ?item |item |product |unit |list |sale )?(price|cost)( .*)?", r".*price.*"),
    "available": (r"(is )?(available|availability|in ?stock|active|published)|stock( status)?",),
    "url": (r"(product |item )?(url|link)",),
    "image": (r"im url",
              r"(product |item |picture |cover )?(image|picture|img|poster|cover)( ?(url|src|link))?( .*)?"),
    "segment": (r"(.* )?(segment|tier|club member status|membership|plan)", r"country|gender|occupation|age ?group"),
    "prefers": (r"(.* )?(prefers|preferences|interests|favou?rite categories)",),
}  # fmt: skip
"""Patterns of a column's words, the likeliest first."""
_OF_A_PERSON = re.compile(
    r"\b(user|customer|client|reviewer|billing|shipping|first|last|sur|fore|family|given|nick|screen|author|contact|"
    r"company|person|member|owner|vendor|seller|agent|staff|recipient|buyer|full|email|phone|city|street|address|province)\b"
)
_NO_ID = re.compile(
    r"\b(name|first|last|phone|address|city|zip|company|agent|rating|count|age|note|group|type|status)\b"
)
_NO_TIME = re.compile(r"\b(paid|fulfilled|cancelled|canceled|updated|modified|birth|release|published|expiry|since)\b")
_RATING_SCALES = (5, 10, 100)
KINDS: tuple[tuple[str, float], ...] = (
    (r"(purchased?|transaction|buy|bought|order(ed)?|checkout|sale|sold|paid|completed?|borrowed)( .*)?", 5),
    (r"(refund(ed)?|return(ed)?|cancel(led)?)( .*)?", -5),
    (r"(add ?to ?cart|cart|basket|add ?to ?basket|in cart|begin checkout|rent(ed)?)", 3),
    (r"(add ?to ?wish ?list|wish ?list|fav(ou?rite)?s?|likes?|liked|save|saved|bookmark|rated?)", 2),
    (r"(view|views|viewed|view item|product view|click|clicks|pv|detail|select item)", 1),
    (r"(impression|play|played|listen|watch|read|stream)(ed)?", 1),
)  # fmt: skip
"""What words for kinds weigh; a word that none matches is no interaction."""


VERBS = (
    (
        "played",
        r"\b(tracks?|artists?|songs?|plays?|played|listens?|playcount|listeners?)\b",
        r"(play|listen|stream)(ed)?",
    ),
    ("borrowed", r"\b(loans?|borrow(ed|er)?|patrons?)\b", r"(borrow(ed)?|loan|checkout|rent(ed)?)"),
    (
        "viewed",
        r"\b(views?|viewed|clicks?|watched)\b",
        r"(.* )?(views?|viewed|clicks?|pv|detail|watch(ed)?|read)( item)?",
    ),
)
"""By verb: what columns are called of which it is said, and the kinds."""


def words(name: str) -> str:
    """A column's name as words in small letters: `userId` and `Customer ID` are `user id` and `customer id`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[^a-z0-9]+", " ", spaced.lower()).strip()


@dataclass(frozen=True)
class Column:
    """A column of a sample: its name, and its values that are not empty, as text."""

    name: str
    values: pa.Array
    n_rows: int
    raw: pa.Array

    @classmethod
    def of(cls, name: str, raw: pa.Array) -> "Column | None":
        """None for a column of lists or objects."""
        if pa.types.is_nested(raw.type):
            return None
        text = raw.cast(pa.string())
        blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(text), ""), True)
        return cls(name, text.filter(pc.invert(blank)), len(raw), raw)

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return int(pc.count_distinct(self.values).as_py())

    @property
    def is_filled(self) -> bool:
        """Whether at least half of the rows have a value."""
        return 2 * len(self.values) >= self.n_rows > 0

    @property
    def numbers(self) -> np.ndarray:
        """The values as numbers, NaN where one is none."""
        return np.asarray(as_numbers(self.values, self.name).to_numpy(zero_copy_only=False))

    @property
    def is_numeric(self) -> bool:
        """Whether nearly all values are numbers."""
        return bool(len(self.values)) and float(np.isfinite(self.numbers).mean()) > 0.98


def ranked(columns: Iterable[Column], role: str, fits: Callable[[Column], bool]) -> list[Column]:
    """The columns whose name and values fit a role, the likeliest first."""
    found: dict[str, Column] = {}
    for pattern in NAMES[role]:
        for column in columns:
            if _is_called(column.name, pattern) and column.name not in found and fits(column):
                found[column.name] = column
    return list(found.values())


def _is_called(name: str, pattern: str) -> bool:
    """Whether a name matches; of an object's key, such as items.item_id, also without the object's name."""
    return any(re.fullmatch(pattern, words(part)) for part in (name, name.rpartition(".")[2]))


def has_item_id(names: Iterable[str]) -> bool:
    """Whether one of these names is that of an item's id."""
    return any(_is_called(name, pattern) for name in names for pattern in NAMES["item_id"][:3])


def is_id(column: Column) -> bool:
    """Whether values and name can be ids of users or items."""
    # Text such as 1234567.89012 may be an id, as Google's analytics make them.
    fraction = pa.types.is_floating(column.raw.type) and bool((column.numbers % 1 != 0).any())
    return column.is_filled and not fraction and not _NO_ID.search(words(column.name))


def is_name_of_item(column: Column) -> bool:
    """Whether it can be an item's id although it is a name, as of games."""
    return column.is_filled and not _OF_A_PERSON.search(words(column.name))


def time_settings(column: Column) -> dict[str, str] | None:
    """The `time` of the catalog that reads nearly all of a column, or None."""
    if not column.is_filled or _NO_TIME.search(words(column.name)):
        return None
    kind = column.raw.type
    if pa.types.is_temporal(kind):
        return {"unit": "iso", "timezone": "UTC"} if getattr(kind, "tz", None) is None else {"unit": "iso"}
    first = pa.array(list(dict.fromkeys(column.values.slice(0, 500).to_pylist())), pa.string())
    guessed: list[dict[str, str]] = [dict([one.replace('"', "").split(": ", 1)]) for one in settings_of(first)]
    unit = likely_unit(first)
    guesses = [{"unit": unit}, *guessed]
    for guess in guesses:
        at = _read(column.values, guess)
        if len(at) and float(((at >= EARLIEST) & (at < _LATEST)).mean()) >= 0.95:
            return guess | ({"timezone": "UTC"} if guess.get("unit") == "iso" else {})
    return None


def time_among_keys(keys: Mapping[str, str]) -> tuple[Column | None, dict[str, str]]:
    """The first key of folders, such as dt=2025-03-01, whose value is a time, as a column; and its `time`."""
    for name, value in keys.items():
        values = pa.array([value])
        if settings := time_settings(Column(name, values, 1, values)):
            return Column(name, values, 1, values), settings
    return None, {}


_LATEST = 4_102_444_800_000_000


def _read(values: pa.Array, settings: dict[str, str]) -> np.ndarray:
    try:
        return as_microseconds(values, settings.get("unit", "iso"), "UTC", settings.get("format"))
    except (DataRefused, ValueError, OverflowError):
        return np.zeros(0, np.int64)


def rating_weights(column: Column) -> dict[float, float] | None:
    """{rating: weight} for the upper part of a scale, or None if the values are no ratings."""
    values = column.numbers[np.isfinite(column.numbers)] if column.is_numeric else np.zeros(0)
    distinct = np.unique(values)
    if distinct.size < 3 or distinct.size > 101 or distinct.min() < 0 or distinct.max() > _RATING_SCALES[-1]:
        return None
    scale = next(scale for scale in _RATING_SCALES if distinct.max() <= scale)
    good, best = (distinct[distinct >= share * scale] for share in (0.7, 0.9))
    if not good.size:
        return None
    weights = {float(good[0]): 1.0}
    return weights | ({float(best[0]): 2.0} if best.size and best[0] > good[0] else {})


def kind_weights(column: Column) -> tuple[dict[str, float], list[str]] | None:
    """(weight of each kind that is an interaction, the other words), or None if the values are no kinds."""
    if not column.is_filled or column.is_numeric or column.distinct > 50:
        return None
    weights, others = dict[str, float](), list[str]()
    for value in sorted(pc.unique(column.values).to_pylist()):
        weight = next((weight for pattern, weight in KINDS if re.fullmatch(pattern, words(value))), None)
        if weight is None:
            others.append(value)
        else:
            weights[value] = weight
    return (weights, others) if weights else None


def verb_of(names: Iterable[str], kinds: Iterable[str], *, is_rated: bool) -> str | None:
    """The `verb` of a catalog whose interactions have columns of these names, and kinds; None for `bought`.

    is_rated: whether the weights are ratings.
    """
    text, done = " ".join(map(words, names)), {words(kind) for kind in kinds}
    for verb, pattern, of_kinds in VERBS:
        if done and all(re.fullmatch(of_kinds, kind) for kind in done):
            return verb
        if not done and not is_rated and re.search(pattern, text):
            return verb
    return "rated" if is_rated and not done else None


def is_title(column: Column, of_item: pa.Array) -> bool:
    """Whether a column names items: hardly more pairs of item and name than items, and no person's name.

    of_item: the items' ids of the same rows.
    """
    if _OF_A_PERSON.search(words(column.name)) or not column.is_filled:
        return False
    if column.is_numeric and not re.fullmatch(NAMES["title"][0], words(column.name)):
        return False
    return belongs_to(column, of_item)


def belongs_to(column: Column, ids: pa.Array) -> bool:
    """Whether an id has hardly more than one value of the column."""
    pairs = pa.table({"id": ids.cast(pa.string()), "value": column.raw.cast(pa.string())}).drop_null()
    n_pairs = pairs.group_by(["id", "value"]).aggregate([]).num_rows
    n_ids = max(1, int(pc.count_distinct(pairs["id"]).as_py()))
    return bool(n_pairs <= 1.5 * n_ids)


def separator_of(column: Column) -> str | None:
    """The sign between several categories in one text, if it is another than |."""
    found = attribute_values.unsplit_categories(column.values.slice(0, 5000).to_pylist(), "|")
    return found[0] if found else None


def overlap(ids: pa.Array, others: pa.Array) -> float:
    """The share of the distinct ids that are among the others."""
    distinct = pc.unique(ids.cast(pa.string()))
    return float(pc.mean(pc.cast(pc.is_in(distinct, others.cast(pa.string())), pa.float64())).as_py() or 0.0)
