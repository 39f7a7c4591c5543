"""Twelve broken candidates, planted between `train` and `evaluate` with their manifest: refused and named."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from recjobs.core.model.als import Factors, aligned, fit
from recjobs.core.model.fold_in import FoldIn
from recjobs.core.model.ranking import best_items
from recjobs.core.model.stored import StoredModel
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import Interactions
from recjobs.night.request import Request
from tests.commands import Kill
from tests.worlds import MakeWorld, World, shop


class Night:
    """A world with a champion in charge and tonight's candidate trained, not yet looked at."""

    def __init__(self, world: World, champion: str, tonight: str) -> None:
        self.world, self.champion, self.tonight = world, champion, tonight
        self.before = world.everything()
        step = lambda step, name: world.step(tonight, step, name)  # noqa: E731
        self.folder = step("train", "manifest.json").parent.parent
        self.train, self.holdout, self.all = (
            Interactions.from_table(pq.read_table(step(*place)))
            for place in (
                ("split", "train.parquet"),
                ("split", "holdout.parquet"),
                ("validate", "interactions.parquet"),
            )
        )
        self.recipe = Request.model_validate_json(step("begin", "request.json").read_text()).catalog.recipe
        self.honest = stored(step("train", "candidate.npz"))
        self.rng = np.random.default_rng(4)

    def fitted(self, interactions: Interactions, recipe: Recipe | None = None) -> StoredModel:
        """What the recipe makes of some interactions, under tonight's ids."""
        recipe = recipe or self.recipe
        return replace(self.honest, factors=fit(interactions.confidence(recipe, 0), recipe, 9, 1))

    def factors(self, users: np.ndarray | None = None, items: np.ndarray | None = None) -> StoredModel:
        """The honest model with other rows."""
        own = self.honest.factors
        rows = (own.user_factors if users is None else users, own.item_factors if items is None else items)
        return replace(self.honest, factors=Factors(*(np.ascontiguousarray(r, np.float32) for r in rows)))

    def plant(self, content: bytes | StoredModel) -> None:
        """Put another file in the place of the candidate, and its hash into the manifest."""
        path = self.folder / "train" / "candidate.npz"
        if isinstance(content, StoredModel):
            with path.open("wb") as file:
                np.savez(file, **content.to_arrays())
        else:
            path.write_bytes(content)
        manifest = path.with_name("manifest.json")
        named = json.loads(manifest.read_text())
        named["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(named))

    def judge(self) -> dict[str, str]:
        """Evaluate, gate and refit; what refit left."""
        for step in ("evaluate", "gate", "refit"):
            done = self.world.recjobs(step, "--batch-id", self.tonight)
            assert done.code == 0, done.err
        found: dict[str, str] = json.loads((self.folder / "refit" / "model.json").read_text())
        return found


def stored(path: Path) -> StoredModel:
    with np.load(path, allow_pickle=False) as arrays:
        return StoredModel.from_arrays(dict(arrays))


@pytest.fixture(scope="module")
def night(make_world: MakeWorld) -> Night:
    world = make_world(shop(), holdout_days=30)
    champion = world.publish("--as-of", "2025-05-27")
    assert world.night(kill=Kill("recjobs.steps.evaluate:run", "before")).code == -9
    tonight = max(path.name for path in (world.artifacts / world.name).iterdir() if path.name[0] == "2")
    assert tonight != champion
    return Night(world, champion, tonight)


@pytest.fixture
def as_trained(night: Night) -> Night:
    """The night, as it was when its candidate was trained."""
    night.plant(night.honest)
    return night


def shuffled_factors(night: Night) -> StoredModel:
    return night.factors(items=night.rng.permutation(night.honest.factors.item_factors))


def shuffled_labels(night: Night) -> StoredModel:
    return night.fitted(replace(night.train, item_idx=night.rng.permutation(night.train.item_idx)))


def with_nan(night: Night) -> StoredModel:
    items = night.honest.factors.item_factors.copy()
    items[3, 2] = np.nan
    return night.factors(items=items)


def constant(night: Night) -> StoredModel:
    items = night.honest.factors.item_factors
    return night.factors(items=np.where(items.any(axis=1, keepdims=True), items.mean(axis=0), 0))


def popularity(night: Night) -> StoredModel:
    """Everybody the same, and items by how many have them; solved by the recipe, so that they follow from that."""
    items = np.zeros_like(night.honest.factors.item_factors)
    items[:, 0] = np.bincount(night.train.item_idx, minlength=len(items)) / 100
    users = np.zeros_like(night.honest.factors.user_factors)
    users[:, 0] = night.honest.factors.user_factors.any(axis=1)
    return night.factors(users, items)


def trained_on_the_holdout(night: Night) -> StoredModel:
    known = night.honest.factors
    both = night.fitted(night.all).factors
    return night.factors(
        np.where(known.user_factors.any(axis=1, keepdims=True), both.user_factors, 0),
        np.where(known.item_factors.any(axis=1, keepdims=True), both.item_factors, 0),
    )


def half_the_users(night: Night) -> StoredModel:
    users = night.honest.factors.user_factors.copy()
    users[::2] = 0
    return night.factors(users)


def stale(night: Night) -> StoredModel:
    """The candidate of the night that made the champion, in tonight's order."""
    model = stored(night.world.step(night.champion, "train", "candidate.npz"))
    return night.factors(
        aligned(model.factors.user_factors, model.user_ids, night.honest.user_ids),
        aligned(model.factors.item_factors, model.item_ids, night.honest.item_ids),
    )


def another_catalogs(night: Night) -> StoredModel:
    return replace(night.honest, item_ids=[f"film {number}" for number in range(len(night.honest.item_ids))])


def untrained(night: Night) -> StoredModel:
    drawn = night.rng.normal(0, 0.1, (len(night.honest.user_ids) + len(night.honest.item_ids), night.recipe.factors))
    return night.factors(drawn[: len(night.honest.user_ids)], drawn[len(night.honest.user_ids) :])


def swapped_item_map(night: Night) -> StoredModel:
    return replace(night.honest, item_ids=night.honest.item_ids[::-1])


def one_item_only(night: Night) -> StoredModel:
    items = np.zeros_like(night.honest.factors.item_factors)
    items[5] = night.honest.factors.item_factors[5]
    return night.factors(items=items)


SABOTAGE: dict[Callable[[Night], StoredModel], str] = {
    shuffled_factors: "do not follow from tonight's train part",
    shuffled_labels: "do not follow from tonight's train part",
    with_nan: "item_factors holds values that are not finite",
    constant: "every item has the same factors",
    popularity: "its lists are the popular ones",
    trained_on_the_holdout: "it was trained on the holdout",
    half_the_users: r"\d+ of the \d+ users that the train part has have no factors$",
    stale: "it is stale: its factors follow from the train part as it was 30 days earlier",
    another_catalogs: "it is of another catalog or night: 72 of its 72 item ids are not tonight's",
    untrained: "do not follow from tonight's train part",
    swapped_item_map: "its item ids are tonight's in another order",
    one_item_only: r"it knows one of the 72 items that the train part has",
}


@pytest.mark.parametrize("sabotage", SABOTAGE, ids=lambda sabotage: sabotage.__name__)
def test_a_sabotaged_candidate_is_refused_and_the_reason_names_it(as_trained: Night, sabotage: Callable):
    night = as_trained
    night.plant(sabotage(night))
    left = night.judge()
    assert (left["verdict"], left["source"]) == ("refused", "champion")
    assert left["reason"].startswith("broken candidate: ")
    assert re.search(SABOTAGE[sabotage], left["reason"]), left["reason"]
    assert not (night.folder / "refit" / "model.npz").exists()
    assert night.world.everything() == night.before


def test_its_lists_are_those_of_the_champions_item_factors_with_tonights_interactions_folded_in(as_trained: Night):
    night, world = as_trained, as_trained.world
    night.plant(shuffled_factors(night))
    champion = stored(world.step(night.champion, "refit", "model.npz"))
    done = world.night()
    assert done.code == 0, done.err
    assert world.live() == night.tonight
    assert world.rows("select verdict from promotions where batch_id = %s", night.tonight) == [{"verdict": "refused"}]
    batch = world.rows("select model_version, champion_version from batches where is_live")[0]
    first = world.value("select model_version from batches where batch_id = %s", night.champion)
    assert batch == {"model_version": first, "champion_version": first}
    assert world.value("select model_version from champion", role="recjobs_publisher") == first

    items = aligned(champion.factors.item_factors, champion.item_ids, night.honest.item_ids)
    users = FoldIn(items, night.recipe).vectors(night.all.confidence(night.recipe, 0))
    sold = np.array([item != "item10" for item in night.honest.item_ids]) & items.any(axis=1)
    ranked = best_items(users, items, 10, night.all.pairs(), sold)
    served = {row["user_id"]: row["item_ids"] for row in world.rows("select user_id, item_ids from served_lists")}
    for user_id, row, n in zip(night.honest.user_ids, ranked.item_idx, ranked.lengths, strict=True):
        assert served[user_id][:n] == [night.honest.item_ids[i] for i in row[:n]], user_id


def test_the_honest_candidate_of_the_same_night_is_promoted(as_trained: Night):
    """Last of all: from here on another champion is in charge."""
    night, world = as_trained, as_trained.world
    left = night.judge()
    assert (left["verdict"], left["source"]) == ("promoted", "refit"), left
    found = json.loads((night.folder / "evaluate" / "integrity.json").read_text())
    assert found["defect"] is None
    assert found["trace"]["left_of_items"] < 0.02
    assert abs(found["trace"]["holdout"]) < 0.1
    assert world.value("select count(*) from models", role="admin") == 2
