"""What pages call an interaction: the words of a catalog's `verb`."""

from collections.abc import Mapping
from dataclasses import dataclass

from webapp.pages.formatting import SOURCES


@dataclass(frozen=True)
class Wording:
    """The forms of a verb that the pages need."""

    participle: str
    """As in "bought by 12 customers"."""
    past: str
    """As in "because they took"."""
    event: str
    """As in "until their first purchase"."""
    sources: Mapping[str, tuple[str, str]]
    """By the source of a listed item: its label, and what the source is."""

    @property
    def events(self) -> str:
        """As in "purchases before"."""
        return f"{self.event}s"


def _regular(past: str, infinitive: str, event: str) -> Wording:
    present = f"{infinitive}s"
    sources = {
        "neighbours": f"neighbours: {past} by customers who {past} the same; no model is in charge",
        "again": f"again: what this customer {present} most often",
        "category": f"category: popular in the categories this customer {present}",
        "popular": f"popular: what most customers {infinitive} at the moment",
        "similar": f"similar: {past} by the same customers",
        "together": f"together: {past} together",
    }
    labelled = {name: (SOURCES[name][0], meaning) for name, meaning in sources.items()}
    return Wording(past, past, event, SOURCES | labelled)


BOUGHT = Wording("bought", "took", "purchase", SOURCES)
WORDINGS = {
    "bought": BOUGHT,
    "viewed": _regular("viewed", "view", "view"),
    "rated": _regular("rated", "rate", "rating"),
    "played": _regular("played", "play", "play"),
    "borrowed": _regular("borrowed", "borrow", "loan"),
}


def wording_of(verb: str | None) -> Wording:
    """The words of a verb; of `bought` for one that this release does not know, and while nothing is published."""
    return WORDINGS.get(verb or "", BOUGHT)
