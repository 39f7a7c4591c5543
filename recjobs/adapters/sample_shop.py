"""A small generated shop, for a demo without data. Deterministic.

1,500 customers buy 360 goods of 12 categories over 200 days. Each prefers two or three categories and one style, and
rarely buys an item twice, so a model can learn more than a list of best sellers.
"""

import functools
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from recjobs.errors import BadConfiguration

SCHEME = "sample:"
_END = int(datetime(2026, 6, 30, 20, tzinfo=UTC).timestamp())
_DAYS, _USERS, _SEED = 200, 1500, 20260630

_STYLES = ("Oak", "Linen", "Copper", "Stoneware", "Enamel", "Wool")
_GOODS = {
    "Baking": ("Cake Tin", "Rolling Pin", "Dough Bowl", "Cookie Cutters", "Pie Dish"),
    "Kitchen": ("Salad Bowl", "Chopping Board", "Utensil Jar", "Colander", "Pepper Mill"),
    "Table": ("Dinner Plate", "Napkin Set", "Cake Stand", "Water Jug", "Candle Holder"),
    "Coffee & Tea": ("Teapot", "Espresso Cup", "Sugar Pot", "Tea Caddy", "Milk Jug"),
    "Garden": ("Plant Pot", "Watering Can", "Bird Feeder", "Seed Box", "Herb Planter"),
    "Bath": ("Towel Set", "Soap Dish", "Bath Mat", "Laundry Basket", "Tooth Mug"),
    "Bedroom": ("Throw Blanket", "Cushion Cover", "Bedside Lamp", "Quilt", "Jewellery Tray"),
    "Children": ("Toy Chest", "Growth Chart", "Night Light", "Building Blocks", "Puppet Theatre"),
    "Stationery": ("Pen Pot", "Notebook", "Letter Rack", "Desk Calendar", "Gift Wrap"),
    "Outdoor": ("Picnic Basket", "Lantern", "Folding Stool", "Cool Bag", "Camp Mug"),
    "Hallway": ("Coat Hook", "Door Mat", "Umbrella Stand", "Key Cabinet", "Wall Clock"),
    "Christmas": ("Star Garland", "Advent Calendar", "Tree Baubles", "Stocking", "Wreath"),
}


def identity(path: str) -> bytes:
    """The bytes to hash for a generated file: its name and parameters."""
    return f"{path}?seed={_SEED}&users={_USERS}&days={_DAYS}&v=1".encode()


def read(path: str) -> Iterator[pa.RecordBatch]:
    """The rows of `sample:items` or `sample:interactions`."""
    tables = {"sample:items": _items, "sample:interactions": _interactions}
    if path not in tables:
        raise BadConfiguration(f"{path}: the sample shop has only {' and '.join(tables)}")
    yield from tables[path]().to_batches()


@functools.cache
def _items() -> pa.Table:
    rng = np.random.default_rng(_SEED)
    rows = [(style, category, noun) for category, nouns in _GOODS.items() for noun in nouns for style in _STYLES]
    return pa.table(
        {
            "item_id": [f"G{i:04d}" for i in range(len(rows))],
            "title": [f"{style} {noun}" for style, _, noun in rows],
            "categories": [[category] for _, category, _ in rows],
            "price": np.round(np.exp(rng.normal(2.9, 0.6, len(rows))), 2),
        }
    )


@functools.cache
def _interactions() -> pa.Table:
    rng = np.random.default_rng(_SEED + 1)
    n_items, n_categories, n_styles = 360, len(_GOODS), len(_STYLES)
    item = np.arange(n_items)
    category, style, noun = item // (n_styles * 5), item % n_styles, item // n_styles % 5
    appeal = rng.gumbel(0, 0.7, n_items)
    # a season per noun: what sells in March does not in June
    peak = rng.uniform(0, _DAYS, (n_categories, 5))[category, noun]
    users, items, times = [], [], []
    for user in range(_USERS):
        likes = np.full(n_categories, -2.2)
        likes[rng.choice(n_categories, rng.integers(2, 4), replace=False)] = 1.0
        taste = np.full(n_styles, -0.8)
        taste[rng.integers(n_styles)] = 1.2
        days = np.sort(rng.uniform(0, _DAYS, rng.poisson(4) + 1))
        bought = np.zeros(n_items)
        for day in days:
            season = 0.9 * np.cos((day - peak) / _DAYS * 2 * np.pi)
            utility = likes[category] + taste[style] + appeal + season - 2.5 * bought
            basket = np.argsort(-(utility + rng.gumbel(0, 1, n_items)))[: rng.poisson(3) + 1]
            bought[basket] = 1
            users += [f"C{user + 1000}"] * basket.size
            items += [f"G{i:04d}" for i in basket]
            times += [int(_END - (_DAYS - day) * 86400)] * basket.size
    order = np.argsort(times, kind="stable")
    return pa.table(
        {
            "user_id": pa.array(users).take(pa.array(order)),
            "item_id": pa.array(items).take(pa.array(order)),
            "occurred_at": np.asarray(times)[order],
        }
    )
