"""Filters and labels of the templates: ages, dates, numbers, and the names of sources and steps as people read them."""

import zlib
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from flask import Flask
from markupsafe import Markup

from webapp.pages.placeholder_image import placeholder_image

SOURCES = {
    "als": ("Personal", "als: from this customer's own taste"),
    "foldin": ("Fresh", "foldin: from what this customer did since the model was made"),
    "neighbours": ("Neighbours", "neighbours: taken by customers who took the same; no model is in charge"),
    "again": ("Again", "again: what this customer takes most often"),
    "category": ("Category", "category: popular in the categories this customer buys from"),
    "popular": ("Popular", "popular: what most customers buy at the moment"),
    "pinned": ("Pinned", "pinned: a rule puts it at this place"),
    "boosted": ("Boosted", "boosted: a rule lifts it"),
    "similar": ("Similar", "similar: bought by the same customers"),
    "together": ("Together", "together: bought on the same order"),
}
STEPS = {
    "extract": "reading the sources",
    "validate": "checking the data",
    "split": "splitting at one instant",
    "train": "training",
    "evaluate": "measuring",
    "gate": "deciding",
    "refit": "training on everything",
    "score": "making the lists",
    "inspect": "checking the lists",
    "publish": "publishing",
    "report": "writing the report",
}
"""The steps of a night, in order."""
ACTIONS = {"publish": "Published", "roll_back": "Rolled back", "promote": "Promoted by hand"}
HUES = 10


def ago(moment: datetime) -> str:
    """An age in one unit: `3 hours ago`."""
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = seconds // size
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def day(moment: datetime) -> str:
    """`9 Dec 2011`, in UTC."""
    return f"{moment.astimezone(UTC):%d %b %Y}".lstrip("0")


def minute(moment: datetime) -> str:
    """`9 Dec 2011, 07:30 UTC`."""
    return f"{day(moment)}, {moment.astimezone(UTC):%H:%M} UTC"


def number(value: int) -> str:
    """`1,234,567`."""
    return f"{value:,}"


def share(value: float) -> str:
    """`12.3%`."""
    return f"{100 * value:.1f}%"


def signed(value: float) -> str:
    """`+7.0`, `−10.3`, with a minus as wide as the plus."""
    return f"{value:+.1f}".replace("-", "−")


def change(value: float | None) -> str:
    """`+12.3%`, `−4.0%`; empty for None."""
    return "" if value is None else f"{signed(100 * value)}%"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min`, `1 h 5 min`."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def price(value: float) -> str:
    """`2.55`; the catalog does not say in which currency."""
    return f"{value:,.2f}"


def code(text: str | None) -> Markup:
    """Text in which what stands between backticks is code."""
    pieces = (text or "").split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if k % 2 else piece for k, piece in enumerate(pieces)
    )


def hue(text: str) -> int:
    """The colour of a card, by number: the same for the same text."""
    return zlib.crc32(text.encode()) % HUES


def install(app: Flask) -> None:
    """Add filters and labels to the templates."""
    digests: dict[str, str] = {}

    def asset(name: str) -> str:
        if name not in digests:
            digests[name] = sha256((Path(app.static_folder or "") / name).read_bytes()).hexdigest()[:12]
        # Without url_for: the error page of an invalid Host header is rendered where no URL can be built.
        return f"/static/{name}?v={digests[name]}"

    app.jinja_env.filters.update(ago=ago, code=code, day=day, minute=minute, number=number, price=price, hue=hue)
    app.jinja_env.filters.update(
        share=share, change=change, signed=signed, duration=duration, placeholder_image=placeholder_image
    )
    app.jinja_env.globals.update(asset=asset, STEPS=STEPS, ACTIONS=ACTIONS, now=lambda: datetime.now(UTC))
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
