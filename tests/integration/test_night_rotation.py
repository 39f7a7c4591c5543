"""Nights with `top_n.rotate_after`: what was in front for so many nights, and was not taken, is put behind."""

import itertools
import json
import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from recjobs.catalog.files import load_catalog
from recjobs.core.batch_ids import parse_batch_id
from recjobs.night.exposure import rotation_at_cutoff
from recjobs.night.lists import NightLists
from recjobs.night.night import Night
from tests.commands import Kill
from tests.worlds import MakeWorld, World, shop

AFTER, SERVED, SMALL = (2 if os.environ.get("RECJOBS_SOAK") else 1), 10, {"recjobs.steps.score:CHUNK_USERS": 40}
CHECKPOINT = Kill("recjobs.adapters.artifacts:StepFiles.checkpoint", "after", ("/score",))
SETTINGS = {
    "seen": "allow",
    "top_n": {"stored": 30, "served": SERVED, "rotate_after": AFTER},
    "min_holdout_users": 10,
}
TAKER = "user000"
Shown = Mapping[tuple[str, str], int]
"""Nights by user and item."""


class Nights:
    """A shop whose users may be shown again what they have taken, and some nights of it: as many as rotation waits for;
    a user takes the item at the top of their list; a night that is killed in `score`; another; a roll back by one; and
    a second night of the last one's instant."""

    def __init__(self, world: World) -> None:
        self.world, self.live_at_begin = world, dict[str, str | None]()
        first = [self.publish(17 + 2 * k) for k in range(AFTER)]
        self.taken, day = self.stored(first[-1])[TAKER][0][0], 17 + 2 * AFTER
        self.buy(TAKER, self.taken, datetime(2025, 6, day - 1, 5, tzinfo=UTC))
        killed = world.recjobs("night", "--json", "--as-of", self.as_of(day), kill=CHECKPOINT, constants=SMALL)
        assert killed.code == -9, killed.err
        self.batches = [*first, self.publish(day), self.publish(day + 2)]
        assert world.recjobs("roll-back").code == 0
        self.buy(TAKER, "item07", datetime(2025, 6, 16, tzinfo=UTC))
        self.batches.append(self.publish(day + 2))

    def as_of(self, day: int) -> str:
        return f"2025-06-{day}T00:00:00Z"

    def publish(self, day: int) -> str:
        live = self.world.live() if self.live_at_begin else None
        done = self.world.recjobs("night", "--json", "--as-of", self.as_of(day), constants=SMALL)
        assert done.code == 0, done.err
        batch_id = str(done.json["batch_id"])
        assert done.json["steps"]["publish"]["moved"]
        self.live_at_begin[batch_id] = live
        return batch_id

    def buy(self, user: str, item: str, at: datetime) -> None:
        bought = pd.DataFrame([{"user": user, "item": item, "at": at, "quantity": 1.0}])
        self.world.goods.sound = pd.concat([self.world.goods.sound, bought], ignore_index=True)
        self.world.write(self.world.goods, **SETTINGS)

    def stored(self, batch_id: str) -> dict[str, tuple[list[str], int, int]]:
        """By user: the list's items, of which the first ones are the model's, the next ones of categories."""
        rows = self.world.rows(
            "select user_id, item_ids, n_model, n_category from top_n where batch_id = %s", batch_id, role="admin"
        )
        return {row["user_id"]: (row["item_ids"], row["n_model"], row["n_category"]) for row in rows}

    def shown_before(self, batch_id: str) -> Shown:
        """In how many nights before a batch each item was in front, as the lists in Postgres say."""
        live = self.live_at_begin[batch_id]
        if live is None:
            return {}
        before, (since, until) = self.shown_before(live), (parse_batch_id(each)[0] for each in (live, batch_id))
        rows = self.world.goods.sound
        rows = rows[(rows["at"] >= since) & (rows["at"] < until)]
        taken = set(zip(rows["user"], rows["item"], strict=True))
        shown = Counter[tuple[str, str]]()
        for user, (items, _, _) in self.stored(live).items():
            for place, item in enumerate(items):
                if (user, item) not in taken:
                    shown[user, item] = before.get((user, item), 0) + (place < SERVED and since < until)
        return shown

    def unrotated(self, batch_id: str) -> dict[str, list[str]]:
        lists = NightLists(self.open(batch_id))
        listed = lists.of(np.arange(len(lists.user_ids)), 30).ranked.item_idx
        items, users = lists.item_ids.to_pylist(), lists.user_ids.to_pylist()
        return {user: [items[item] for item in row if item >= 0] for user, row in zip(users, listed, strict=True)}

    def open(self, batch_id: str) -> Night:
        with mock.patch.dict(os.environ, self.world.settings):
            return Night.open(load_catalog(self.world.name), batch_id)


@pytest.fixture(scope="module")
def nights(make_world: MakeWorld) -> Nights:
    return Nights(make_world(shop(), **SETTINGS))


def test_each_night_puts_what_was_shown_for_so_many_nights_behind_the_rest(nights: Nights):
    """By the lists in Postgres, item by item: over a kill in the middle of `score`, a roll back, and a second night of
    the same instant, whose live batch was in charge for no night."""
    n_moved = []
    for batch_id in nights.batches:
        shown, stored, before = nights.shown_before(batch_id), nights.stored(batch_id), nights.unrotated(batch_id)
        assert stored.keys() == before.keys()
        for user, (items, n_model, n_category) in stored.items():
            ends = (0, n_model, n_model + n_category, len(items))
            expected = [
                item
                for first, last in itertools.pairwise(ends)
                for item in sorted(before[user][first:last], key=lambda item: shown.get((user, item), 0) // AFTER)
            ]
            assert items == expected, (batch_id, user)
        n_moved.append(sum(before[user] != items for user, (items, _, _) in stored.items()))
    assert n_moved[:AFTER] == [0] * AFTER
    assert min(n_moved[AFTER:]) > 100, n_moved
    assert nights.live_at_begin[nights.batches[-1]] == nights.batches[-3], "rolled back"


def test_what_was_taken_stays_in_front_and_what_was_not_has_gone_behind(nights: Nights):
    *earlier, now = (set(nights.stored(batch_id)[TAKER][0][:SERVED]) for batch_id in nights.batches[: AFTER + 1])
    assert nights.taken in now
    untaken = set.intersection(*earlier) - {nights.taken}
    assert len(untaken) > 5
    assert not untaken & now


def test_what_had_been_shown_at_the_cutoff_is_that_of_the_batch_that_was_live_then(nights: Nights):
    """The holdout of the last night but one begins where that batch's data end: it was in charge for no night yet."""
    *_, live, batch_id, _ = nights.batches
    night = nights.open(batch_id)
    assert night.cutoff().at == parse_batch_id(live)[0]
    user_ids, item_ids = night.ids("users"), night.ids("items")
    rotation = rotation_at_cutoff(night, night.train(), np.arange(0, len(user_ids), 2))
    assert rotation is not None
    shown, asked = rotation.nights.tocoo(), set(user_ids[::2])
    pairs = zip(shown.row, shown.col, shown.data, strict=True)
    lists = nights.stored(live)
    expected = {
        (user, item): n
        for (user, item), n in nights.shown_before(live).items()
        if n and user in asked and item in lists[user][0]
    }
    assert {(user_ids[user], item_ids[item]): n for user, item, n in pairs} == expected
    assert len(expected) > 300


def test_the_report_says_how_the_price_was_measured(nights: Nights):
    pages = [
        nights.world.value("select html from reports where batch_id = %s", batch_id) for batch_id in nights.batches
    ]
    assert all("<code>top_n.rotate_after</code></td>" in page for page in pages)
    assert "is the mean over a whole rotation, of 3 lists" in pages[0]
    assert "is measured by what lists had shown at the cutoff" in pages[-2]


def test_what_was_shown_to_a_person_is_exported_and_erased(nights: Nights):
    world, verb = nights.world, ("--user-id", TAKER)
    found = json.loads(world.recjobs("export-user", *verb).out)["artifacts"]
    shown = [each["rows"] for each in found if each["file"].startswith("shown-")]
    assert shown
    assert {row["user_id"] for rows in shown for row in rows} == {TAKER}
    erased = world.recjobs("erase-user", *verb)
    assert erased.code == 0, erased.err
    left = json.loads(world.recjobs("export-user", *verb).out)["artifacts"]
    assert not [each for each in left if each["file"].startswith("shown-")]
