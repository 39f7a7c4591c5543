"""Where raw values, messages and reports are about one user."""

import html
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ERASED = "(erased)"
"""What stands in a message in place of an erased user id."""
_QUOTES = " \t\r\n\"'"


def is_of(user_id: str, raw: pa.Array) -> np.ndarray:
    """Which raw values of quarantined rows are a user id, as it is or in quotes or blanks."""
    text = raw.cast(pa.string())
    bare = pc.utf8_trim(text, characters=_QUOTES)
    same = pc.or_(pc.equal(text, user_id), pc.equal(bare, user_id.strip(_QUOTES) or user_id))
    return np.asarray(pc.fill_null(same, False).to_numpy(zero_copy_only=False))


def mentions(text: str, user_id: str) -> bool:
    """Whether a message gives a user id as an example: `3 users, such as a, b`."""
    return _example(user_id).search(text) is not None


def without_mentions(text: str, user_id: str) -> str:
    """A message in which `(erased)` stands in place of a user id that was an example."""
    return _example(user_id).sub(rf"\g<1>{ERASED}", text)


def is_on_page(page: str, user_id: str) -> bool:
    """Whether a night's report shows a user id."""
    return without_person(page, user_id) != page


def without_person(page: str, user_id: str) -> str:
    """A night's report without the lists of a user, and without the id in its messages."""
    escaped = html.escape(user_id)
    for form in {escaped, escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")}:  # as Jinja writes them
        name = re.escape(form)
        page = re.sub(rf'<details class="user"[^>]*>\s*<summary><b>{name}</b>.*?</details>\n?', "", page, flags=re.S)
        page = re.sub(rf'<div class="pair served"><h3>{name} <small>.*?</div></div>\n?', "", page, flags=re.S)
        page = without_mentions(page, form)
    return page


def _example(user_id: str) -> re.Pattern[str]:
    return re.compile(rf"(such as (?:[^;<]*?, )?){re.escape(user_id)}(?=, |\)|;|<|$)", re.MULTILINE)
