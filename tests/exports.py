"""Exports of shops in the shapes that people bring, small, with a preference planted that anybody can check.

240 users have one of four tastes, of 25 items each, and take twelve items of it and one of another. The first of each
taste are devoted: they took all of it but one item, which therefore belongs on top of their lists.
"""

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

TASTES, ITEMS_OF_TASTE, N_USERS, N_DEVOTED = 4, 25, 240, 12
N_ITEMS = TASTES * ITEMS_OF_TASTE
START, DAYS = 1_570_000_000, 150
WORDS = (
    "Dark", "Blue", "Last", "River", "City", "King", "Night", "Star", "Dream",
    "House", "Love", "Storm", "Road", "Ghost", "Summer", "Winter", "Iron", "Silent",
)  # fmt: skip


@dataclass(frozen=True)
class Taken:
    """That a user took an item at a time in seconds since 1970. is_own: of the user's taste."""

    user: int
    item: int
    at: int
    is_own: bool


def title_of(item: int) -> str:
    """Every item has another one, and some have a comma in it."""
    return f"{WORDS[item % 18]} {WORDS[item * 7 % 17]}{', The' if item % 5 == 0 else ''} {item}"


def left_out(user: int) -> int:
    """The one item of their taste that a devoted user has not taken."""
    return (user // TASTES * 5 + 3) % ITEMS_OF_TASTE * TASTES + user % TASTES


def taken(seed: int = 5) -> list[Taken]:
    """Every pair once, in the order of time."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(N_USERS):
        own = np.arange(ITEMS_OF_TASTE) * TASTES + user % TASTES
        others = np.setdiff1d(np.arange(N_ITEMS), own)
        if user < N_DEVOTED:
            items = [item for item in own if item != left_out(user)]
        else:
            items = [*rng.choice(own, 12, replace=False), *rng.choice(others, 1)]
        times = np.sort(rng.integers(START, START + DAYS * 86_400, len(items)))
        rows += [
            Taken(user, int(item), int(at), item % TASTES == user % TASTES)
            for item, at in zip(rng.permutation(items), times, strict=True)
        ]
    return sorted(rows, key=lambda row: row.at)


def instant(seconds: int) -> str:
    """2019-10-02 07:06:40"""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def write_csv(path: Path, header: str | None, rows: Iterable[Iterable[object]], delimiter: str = ",") -> None:
    """As the csv module quotes it; gzipped if the name says so."""
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        if header:
            writer.writerow(header.split(","))
        writer.writerows(rows)


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """JSON Lines; gzipped if the name says so."""
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@dataclass(frozen=True)
class Shape:
    """write: makes the files, in a folder. files: what is named to `recjobs init`, as a shell expands it. user, item:
    how ids are written. word: what its people did, on the page. has_titles: whether items have any."""

    name: str
    write: Callable[[Path], None]
    files: tuple[str, ...]
    user: Callable[[int], str]
    item: Callable[[int], str]
    word: str = "bought"
    has_titles: bool = True


def movielens(folder: Path) -> None:
    """Ratings of one's taste are high, others low; with tags and links, which are no interactions."""
    rng = np.random.default_rng(1)
    ratings = [
        (row.user + 1, row.item * 11 + 1, rng.choice([4.0, 4.5, 5.0] if row.is_own else [1.0, 2.0, 2.5]), row.at)
        for row in taken()
    ]
    write_csv(folder / "ratings.csv", "userId,movieId,rating,timestamp", sorted(ratings))
    genres = ["Drama|War", "Comedy", "Children|Comedy|Musical", "(no genres listed)"]
    movies = ((i * 11 + 1, f"{title_of(i)} ({1950 + i % 60})", genres[i % TASTES]) for i in range(N_ITEMS))
    write_csv(folder / "movies.csv", "movieId,title,genres", movies)
    write_csv(
        folder / "tags.csv", "userId,movieId,tag,timestamp", [(u, i, "dark", at) for u, i, _, at in ratings[:200]]
    )
    write_csv(
        folder / "links.csv", "movieId,imdbId,tmdbId", ((i * 11 + 1, f"0{114709 + i}", 862 + i) for i in range(N_ITEMS))
    )


def retailrocket(folder: Path) -> None:
    """Views, carts and transactions in no order; of what others took, views only."""
    rows, order = [], 0
    for row in taken():
        rows.append((row.at * 1000, 900_000 + row.user, "view", 70_000 + row.item, ""))
        if row.is_own and row.item % 2 == 0:
            rows.append((row.at * 1000 + 60_000, 900_000 + row.user, "addtocart", 70_000 + row.item, ""))
            rows.append((row.at * 1000 + 90_000, 900_000 + row.user, "transaction", 70_000 + row.item, order))
            order += 1
    rows = [rows[k] for k in np.random.default_rng(2).permutation(len(rows))]
    write_csv(folder / "events.csv", "timestamp,visitorid,event,itemid,transactionid", rows)
    write_csv(folder / "category_tree.csv", "categoryid,parentid", ((n, n // 3 or "") for n in range(60)))
    properties = (
        (START * 1000, 70_000 + i, name, value)
        for i in range(N_ITEMS)
        for name, value in (("categoryid", i % TASTES), ("available", 1), ("790", f"n{i * 100}.000"))
    )
    write_csv(folder / "item_properties_part1.csv", "timestamp,itemid,property,value", properties)


def hash_of(user: int) -> str:
    """A customer's id at H&M."""
    return hashlib.sha256(str(user).encode()).hexdigest()


def hm(folder: Path) -> None:
    """Days, articles with leading zeros, the same article twice on one day, 25 columns of articles."""
    rows = [(instant(t.at)[:10], hash_of(t.user), f"0{108775015 + t.item}", 0.0508, 2) for t in taken()]
    write_csv(
        folder / "transactions_train.csv", "t_dat,customer_id,article_id,price,sales_channel_id", rows + rows[::9]
    )
    header = (
        "article_id,product_code,prod_name,product_type_no,product_type_name,product_group_name,"
        "graphical_appearance_no,graphical_appearance_name,colour_group_code,colour_group_name,"
        "perceived_colour_value_id,perceived_colour_value_name,perceived_colour_master_id,perceived_colour_master_name,"
        "department_no,department_name,index_code,index_name,index_group_no,index_group_name,section_no,section_name,"
        "garment_group_no,garment_group_name,detail_desc"
    )
    types = ["Vest top", "Bra", "Socks", "Sweater"]
    articles = (
        (f"0{108775015 + i}", 108775 + i // 3, title_of(i), 253 + i % TASTES, types[i % TASTES], "Garment Upper body",
         1010016, "Solid", "09", "Black", 4, "Dark", 5, "Black", 1676, "Jersey Basic", "A", "Ladieswear", 1,
         "Ladieswear", 16, "Womens Everyday Basics", 1002, "Jersey Basic", "Jersey top, with narrow straps.")
        for i in range(N_ITEMS)
    )  # fmt: skip
    write_csv(folder / "articles.csv", header, articles)
    customers = (
        (
            hash_of(u),
            "1.0" if u % 3 else "",
            "",
            ("ACTIVE", "PRE-CREATE", "")[u % 3],
            "NONE",
            20 + u % 50,
            hash_of(u % 9),
        )
        for u in range(N_USERS)
    )
    write_csv(
        folder / "customers.csv",
        "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code",
        customers,
    )


def instacart(folder: Path) -> None:
    """No times: the orders of users, and the lines of those orders in two files, a few orders a user."""
    baskets: dict[tuple[int, int], list[int]] = {}
    for n, row in enumerate(taken()):
        baskets.setdefault((row.user, n // 400), []).append(row.item)
    orders, lines, places = [], {"prior": [], "train": []}, dict.fromkeys(range(N_USERS), 0)
    for number, ((user, _), items) in enumerate(baskets.items()):
        order, places[user] = 7919 * (number + 1) % 99_991, places[user] + 1
        part = "train" if number % 10 == 9 else "prior"
        since = "" if places[user] == 1 else 7.0
        orders.append((order, user + 1, part, places[user], number % 7, f"{number % 24:02}", since))
        lines[part] += [(order, 300 + item, k + 1, 0) for k, item in enumerate(items)]
    write_csv(
        folder / "orders.csv",
        "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order",
        sorted(orders, key=lambda row: row[1]),
    )
    for part, rows in lines.items():
        write_csv(
            folder / f"order_products__{part}.csv", "order_id,product_id,add_to_cart_order,reordered", sorted(rows)
        )
    products = ((300 + i, title_of(i), i % 7, i % TASTES) for i in range(N_ITEMS))
    write_csv(folder / "products.csv", "product_id,product_name,aisle_id,department_id", products)
    write_csv(folder / "aisles.csv", "aisle_id,aisle", ((n, f"aisle {n}") for n in range(7)))
    write_csv(folder / "departments.csv", "department_id,department", ((n, f"department {n}") for n in range(TASTES)))


def rees46(folder: Path) -> None:
    """A file a month, gzipped; events of four kinds; a code of the category that is often missing."""
    months: dict[str, list[tuple[object, ...]]] = {}
    for n, row in enumerate(taken()):
        for kind in ("view", "cart", "purchase") if row.is_own and row.item % 3 == 0 else ("view",):
            event = (
                f"{instant(row.at)} UTC", kind, 1000 + row.item, 2053013555631882655 + row.item % TASTES,
                f"electronics.kind{row.item % TASTES}" if row.item % 6 else "", "acme", f"{9.5 + row.item:.2f}",
                541312140 + row.user, f"{hash_of(n)[:8]}-5d5c-4c0b",
            )  # fmt: skip
            months.setdefault(f"{datetime.fromtimestamp(row.at, UTC):%Y-%b}", []).append(event)
    for month, rows in months.items():
        write_csv(
            folder / f"{month}.csv.gz",
            "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
            rows,
        )


def lastfm(folder: Path) -> None:
    """Plays without times, tab separated; artists in a file of their own, with letters beyond ASCII."""
    rng = np.random.default_rng(3)
    plays = (
        (t.user + 2, t.item + 50, int(np.exp(rng.normal(6 if t.is_own else 2, 1))) + 1)
        for t in sorted(taken(), key=lambda t: t.user)
    )
    write_csv(folder / "user_artists.dat", "userID,artistID,weight", plays, "\t")
    artists = (
        (i + 50, f"Motörhead {title_of(i)}", f"http://www.example.com/music/{i}", f"http://img.example.com/{i}.jpg")
        for i in range(N_ITEMS)
    )
    write_csv(folder / "artists.dat", "id,name,url,pictureURL", artists, "\t")
    friends = ((u + 2, (u + 7) % N_USERS + 2) for u in range(N_USERS))
    write_csv(folder / "user_friends.dat", "userID,friendID", friends, "\t")


def amazon(folder: Path) -> None:
    """Reviews and what is sold, as gzipped JSON Lines with nested values."""
    reviews = (
        {"reviewerID": f"A{t.user:013}", "asin": f"B{t.item:09}", "reviewerName": f"Jane Doe {t.user}",
         "helpful": [0, 2], "reviewText": "Good, \"really\"\n",
         "overall": float(4 + t.at % 2 if t.is_own else 1 + t.at % 3),
         "summary": "Five stars", "unixReviewTime": t.at, "reviewTime": "09 13, 2019"}
        for t in taken()
    )  # fmt: skip
    write_lines(folder / "reviews_Tools_5.json.gz", reviews)
    described = (
        {"asin": f"B{i:09}", "title": title_of(i), "price": 3.5 + i, "brand": "Acme",
         "imUrl": f"http://img.example.com/{i}.jpg", "categories": [["Tools", f"Kind {i % TASTES}"]],
         "related": {"also_bought": [f"B{i + 1:09}"]}}
        for i in range(N_ITEMS)
    )  # fmt: skip
    write_lines(folder / "meta_Tools.json.gz", described)


def order_lines() -> Iterator[tuple[int, Taken, bool]]:
    """(number of the order, line, whether it is the order's first): up to three lines an order."""
    of_users: dict[int, list[Taken]] = {}
    for row in taken():
        of_users.setdefault(row.user, []).append(row)
    for user in range(N_USERS):
        own = of_users[user]
        for k, row in enumerate(own):
            yield user * 100 + k // 3, Taken(row.user, row.item, own[k - k % 3].at, row.is_own), k % 3 == 0


def shopify(folder: Path) -> None:
    """A row a line of an order; what is the order's stands in its first line only. Names of people in many columns."""
    header = (
        "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,"
        "Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name,"
        "Lineitem price,Lineitem compare at price,Lineitem sku,Lineitem requires shipping,Lineitem taxable,"
        "Lineitem fulfillment status,Billing Name,Billing Street,Billing City,Shipping Name,Shipping City,Notes,Vendor,"
        "Id,Tags"
    )
    rows = []
    for order, line, is_first in order_lines():
        at = f"{instant(line.at)} +0100"
        of_order: tuple[object, ...] = ("paid", at, "fulfilled", at, "yes", "EUR", 25.0, 0, 0, 25.0, "", 0, "Standard")
        person = f"Jane Doe {line.user}"
        rows.append((
            f"#{1000 + order}", f"u{line.user}@example.com", *(of_order if is_first else [""] * len(of_order)), at,
            1 + order % 2, title_of(line.item), 12.5, "", f"MUG-{line.item:03}", "true", "true", "fulfilled",
            *((person, "Main St 1, 2nd floor", "Bern", person, "Bern", "", "Acme", 880_000 + order, "")
              if is_first else ("", "", "", "", "", "", "Acme", "", "")),
        ))  # fmt: skip
    write_csv(folder / "orders_export_1.csv", header, rows)


def woocommerce(folder: Path) -> None:
    """A row a line of an order, with everything of the order."""
    header = (
        "Order Number,Order Status,Order Date,Customer Note,First Name (Billing),Last Name (Billing),Company (Billing),"
        "City (Billing),Email (Billing),Phone (Billing),Payment Method Title,Cart Discount Amount,Order Total Amount,"
        "SKU,Item #,Item Name,Quantity (- Refund),Item Cost,Coupon Code"
    )
    rows = [
        (500 + order, "completed", instant(line.at)[:16], "", f"Jane{line.user}", f"Doe{line.user}", "", "Bern",
         f"u{line.user}@example.com", "0317", "Card", 0, 27.0, f"T{line.item:03}", 1, title_of(line.item),
         1 + order % 3, 9.0, "")
        for order, line, _ in order_lines()
    ]  # fmt: skip
    write_csv(folder / "orders-2020-03-01.csv", header, rows)


def ga4(folder: Path) -> None:
    """A file a day, as BigQuery exports the nested table to JSON; most events have no items."""
    days: dict[str, list[dict[str, Any]]] = {}
    for n, t in enumerate(taken()):
        day = instant(t.at)[:10].replace("-", "")
        kinds = ["page_view", "view_item", *(["add_to_cart", "purchase"] if t.is_own and t.item % 2 else [])]
        for k, kind in enumerate(kinds):
            item = {"item_id": f"SKU{t.item:03}", "item_name": title_of(t.item), "item_brand": "Acme",
                    "item_category": f"Kind {t.item % TASTES}", "price": 15.0 + t.item, "quantity": "1"}  # fmt: skip
            days.setdefault(day, []).append({
                "event_date": day, "event_timestamp": str(t.at * 1_000_000 + n * 10 + k), "event_name": kind,
                "event_params": [{"key": "page_location", "value": {"string_value": "https://shop.example/"}}],
                "user_pseudo_id": f"{t.user}.1570000777", "user_id": None, "device": {"category": "mobile"},
                "items": [item] if kind != "page_view" else [],
            })  # fmt: skip
    for day, rows in days.items():
        write_lines(folder / f"events_{day}.json", rows)


SHAPES = [
    Shape("movielens", movielens, ("*.csv",), lambda u: str(u + 1), lambda i: str(i * 11 + 1), "rated"),
    Shape(
        "retailrocket",
        retailrocket,
        ("*.csv",),
        lambda u: str(900_000 + u),
        lambda i: str(70_000 + i),
        has_titles=False,
    ),
    Shape("hm", hm, ("*.csv",), hash_of, lambda i: f"0{108775015 + i}"),
    Shape("instacart", instacart, ("*.csv",), lambda u: str(u + 1), lambda i: str(300 + i)),
    Shape("rees46", rees46, ("*.csv.gz",), lambda u: str(541312140 + u), lambda i: str(1000 + i), has_titles=False),
    Shape("lastfm", lastfm, ("*.dat",), lambda u: str(u + 2), lambda i: str(i + 50), "played"),
    Shape("amazon", amazon, ("*.json.gz",), lambda u: f"A{u:013}", lambda i: f"B{i:09}", "rated"),
    Shape("shopify", shopify, ("*.csv",), lambda u: f"u{u}@example.com", lambda i: f"MUG-{i:03}"),
    Shape("woocommerce", woocommerce, ("*.csv",), lambda u: f"u{u}@example.com", lambda i: f"T{i:03}"),
    Shape("ga4", ga4, ("*.json",), lambda u: f"{u}.1570000777", lambda i: f"SKU{i:03}"),
]
