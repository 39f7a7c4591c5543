"""The shipped catalog of purchases, on a file of the same shape: gzipped CSV with empty titles, codes, quantities."""

import csv
import gzip
import io

import pyarrow.parquet as pq

from recjobs.config import ROOT
from tests.commands import Command
from tests.worlds import MakeWorld

HEADER = ["Order Date", "Purchase Price Per Unit", "Quantity", "Shipping Address State", "Title"]
HEADER += ["ASIN/ISBN (Product Code)", "Category", "Survey ResponseID"]
ROWS = [
    ["2023-03-20", "4.55", "1.0", "NY", 'Brush, 2" wide | red', "B0001", "PAINT_BRUSH", "R_1"],
    ["2023-03-21", "7.5", "2.0", "NY", "", "B0002", "BOOK", "R_1"],
    ["2023-03-21", "3.0", "1.0", "LA", "Twine", "525653090", "", "R_2"],
    ["2023-03-22", "3.0", "", "LA", "Twine", "525653090", "ROPE", "R_1"],  # quantity unknown: set aside
    ["2023-03-20", "1.0", "1.0", "", "", "", "", "R_2"],
    ["2023-03-20", "1.0", "0.0", "NY", "Nothing", "B0003", "BOOK", "R_2"],
    ["2023-03-20", "25.0", "1.0", "NY", "Gift Card", "B0004", "ABIS_GIFT_CARD", "R_2"],
    ["2023-03-20", "25.0", "1.0", "NY", "Card", "B0005", "GREETING_CARD", "R_2"],
]


def test_purchases_are_read_with_titles_and_categories(make_world: MakeWorld) -> None:
    world = make_world()
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *ROWS])
    (world.data / "amazon_purchases").mkdir()
    (world.data / "amazon_purchases" / "purchases.csv.gz").write_bytes(gzip.compress(text.getvalue().encode()))
    settings = world.settings | {"RECJOBS_CATALOGS": str(ROOT / "catalogs")}

    def recjobs(verb: str, *arguments: str):
        return Command((verb, "--catalog", "amazon_purchases", *arguments, "--json"), settings).wait()

    batch_id = recjobs("begin", "--set", "limits.max_rejected_share=0.5").json["batch_id"]
    assert recjobs("extract", "--batch-id", batch_id).json == {"read": 8, "excluded": 3}
    validated = recjobs("validate", "--batch-id", batch_id).json
    assert (validated["accepted"], validated["quarantined"], validated["excluded"]) == (4, 1, 3)
    folder = world.artifacts / "amazon_purchases" / batch_id
    items = {row["item_id"]: row for row in pq.read_table(folder / "validate" / "items.parquet").to_pylist()}
    assert {key: (item["title"], item["categories"]) for key, item in items.items()} == {
        "525653090": ("Twine", []),
        "B0001": ('Brush, 2" wide | red', ["PAINT_BRUSH"]),
        "B0002": (None, ["BOOK"]),
        "B0005": ("Card", ["GREETING_CARD"]),
    }
    [bad] = pq.read_table(folder / "validate" / "rejected.parquet").to_pylist()
    assert (bad["reason"], bad["row"]) == ("bad_weight", 4)
