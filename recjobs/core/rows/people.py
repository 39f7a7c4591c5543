"""Who was erased, by a salted hash of the user id; and where raw values, messages and reports are about one user."""

import hashlib
import hmac
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ERASED = "(erased)"
"""What stands in a message in place of an erased user id."""
_QUOTES = " \t\r\n\"'"


def salted_hash(salt: str, user_id: str) -> str:
    """HMAC-SHA256 of a user id by a salt; both hashes in hex."""
    return hmac.digest(bytes.fromhex(salt), user_id.encode(), "sha256").hex()


@dataclass(frozen=True)
class ErasedPeople:
    """The erased people of one catalog, by their salted hashes. There is one salt, unless a back-up of an older release
    was restored."""

    salts: tuple[str, ...] = ()
    hashes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def mask(self, user_ids: pa.Array) -> np.ndarray:
        """Which ids of an array of text, dictionary-encoded or not, are of erased people. Each one is hashed once."""
        encoded = user_ids if pa.types.is_dictionary(user_ids.type) else user_ids.dictionary_encode()
        found = pa.array([self.hash_of(each) is not None for each in encoded.dictionary.to_pylist()], pa.bool_())
        return np.asarray(pc.fill_null(found.take(encoded.indices), False).to_numpy(zero_copy_only=False))

    def hash_of(self, user_id: str | None) -> str | None:
        """The hash that an erased person's id has; None of anybody else's."""
        if user_id is None:
            return None
        return next((each for each in (salted_hash(salt, user_id) for salt in self.salts) if each in self.hashes), None)

    def among(self, user_ids: Iterable[str | None]) -> dict[str, str]:
        """The erased people among some user ids: their id by their hash."""
        found = ((self.hash_of(user_id), user_id) for user_id in user_ids)
        return {person: user_id for person, user_id in found if person is not None and user_id is not None}


def bare(raw: pa.Array) -> pa.Array:
    """Raw values as text, without quotes and blanks around them."""
    return pc.utf8_trim(raw.cast(pa.string()), characters=_QUOTES)


def is_of(user_id: str, raw: pa.Array) -> np.ndarray:
    """Which raw values of quarantined rows are a user id, as it is or in quotes or blanks."""
    same = pc.or_(pc.equal(raw.cast(pa.string()), user_id), pc.equal(bare(raw), user_id.strip(_QUOTES) or user_id))
    return np.asarray(pc.fill_null(same, False).to_numpy(zero_copy_only=False))


def mentions(text: str, user_id: str) -> bool:
    """Whether a message gives a user id as an example: `3 users, such as a, b`, or in quotes: `it lacks 'a'`."""
    return without_mentions(text, user_id) != text


def without_mentions(text: str, user_id: str) -> str:
    """A message in which `(erased)` stands in place of a user id that was an example."""
    return _example(user_id).sub(rf"\g<1>{ERASED}", text).replace(repr(user_id), ERASED)


def is_on_page(page: str, user_id: str) -> bool:
    """Whether a night's report shows a user id."""
    return without_person(page, user_id) != page


def without_person(page: str, user_id: str) -> str:
    """A night's report without the lists of a user, and without the id in its messages."""
    for form in _as_html(user_id):
        name = re.escape(form)
        page = re.sub(rf'<details class="user"[^>]*>\s*<summary><b>{name}</b>.*?</details>\n?', "", page, flags=re.S)
        page = re.sub(rf'<div class="pair served"><h3>{name} <small>.*?</div></div>\n?', "", page, flags=re.S)
        page = _example(form).sub(rf"\g<1>{ERASED}", page)
    for form in _as_html(repr(user_id)):
        page = page.replace(form, ERASED)
    return page


def _as_html(text: str) -> set[str]:
    escaped = html.escape(text)
    return {escaped, escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")}  # as Jinja writes them


def _example(user_id: str) -> re.Pattern[str]:
    return re.compile(rf"(such as (?:[^;<]*?, )?){re.escape(user_id)}(?=, |\)|;|<|\. |$)", re.MULTILINE)


def digest(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
