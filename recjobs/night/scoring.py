"""What a night's lists are made of: the model, what is kept out of whose list, and what is popular. `score` asks it for
everybody, `trace` for one user."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from recjobs.core.evaluation.exam import blend_of, kept_out_of
from recjobs.core.lists.ladder import Ladder, PopularList, fill_up
from recjobs.core.lists.popularity import popular_order
from recjobs.core.lists.reasons import Because, because, joined
from recjobs.core.model.als import aligned, fold_in
from recjobs.core.model.attributes import Completed, completed, held_down
from recjobs.core.model.fold_in import FoldIn, blocks
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.ranking import Ranked, best_items
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import Interactions
from recjobs.night.night import Night

SAMPLE_USERS = 1000
"""Users whose lists show how many places new items would take."""
SPARE = 10
"""Places behind those that are served whose items have reasons too: rules may bring them forward."""


@dataclass(frozen=True)
class _Model:
    """Item factors in tonight's order, their recipe, and which of tonight's users the model was fit on."""

    item_factors: np.ndarray
    recipe: Recipe
    knew_user: np.ndarray


@dataclass(frozen=True)
class Finished:
    """Some users' lists. ranked: filled down the ladder; source: where each list's first n_model items come from, the
    next n_category come from categories; because: None without a model."""

    ranked: Ranked
    source: np.ndarray
    n_model: np.ndarray
    n_category: np.ndarray
    because: Because | None


class Scoring:
    """A night's lists, made for whom one asks."""

    def __init__(self, night: Night) -> None:
        self.night = night
        self.interactions = night.interactions()
        self.items = night.items()
        users = night.users()
        self.user_ids = users["user_id"].combine_chunks()
        self.item_ids = self.items["item_id"].combine_chunks()
        self.eligible = self.items["available"].to_numpy()
        now = microseconds(night.request.as_of)
        order, score = popular_order(self.interactions, now)
        popular = PopularList(order, score).restricted_to(self.eligible)
        self.ladder = _ladder(self.interactions, users, self.items, popular, now)
        self.model = _model_of(night, self.user_ids.to_pylist(), self.item_ids.to_pylist())
        self.seen = kept_out_of(self.interactions, night.view, now, night.after_days)
        self._confidence = self.interactions.confidence(self.model.recipe, now) if self.model else None

    @cached_property
    def blend(self) -> Blend | None:
        """What item neighbours add; None: nothing."""
        if self.model is None or self._confidence is None:
            return None
        return blend_of(self._confidence, self.model.recipe, self.night.threads)

    @cached_property
    def found(self) -> Completed | None:
        """The item factors that lists are made with; None: there is no model."""
        if self.model is None or self._confidence is None:
            return None
        return _with_new_items(
            self.night, self.model, self.items, self._confidence, self.seen, self.eligible, self.blend
        )

    @cached_property
    def _fold_in(self) -> FoldIn:
        assert self.model is not None
        return FoldIn(self.model.item_factors, self.model.recipe, self.night.threads)

    def lists(self, first: int, last: int, n: int) -> Finished:
        """The lists of n items of the users first to last - 1."""
        seen = None if self.seen is None else self.seen[first:last]
        ranked, reasons = self._ranked(first, last, n)
        lists, n_model, n_category = fill_up(ranked, self.ladder, np.arange(first, last), seen, len(self.item_ids))
        source = np.where(n_model > 0, self._source(first, last), "popular")
        return Finished(lists, source, n_model, n_category, reasons)

    def _source(self, first: int, last: int) -> np.ndarray:
        if self.model is None:
            return np.full(last - first, "popular")
        return np.where(self.model.knew_user[first:last], "als", "foldin")

    def _ranked(self, first: int, last: int, n: int) -> tuple[Ranked, Because | None]:
        found, blend, threads = self.found, self.blend, self.night.threads
        if found is None or self._confidence is None:
            nothing = np.full((last - first, n), -1, np.int32)
            return Ranked(nothing, np.full(nothing.shape, np.nan, np.float32)), None
        usable = self.eligible & found.item_factors.any(axis=1)
        places = min(n, self.night.catalog.top_n.served + SPARE)
        parts, reasons = [], []
        for users in blocks(self._confidence, first, last, found.item_factors.shape[1]):
            vectors, shares = self._fold_in.of(self._confidence[users])
            seen = None if self.seen is None else self.seen[users]
            said = None if blend is None else blend.of(users)
            parts.append(best_items(vectors, found.item_factors, n, seen, usable, threads, said))
            reasons.append(because(parts[-1], places, found.item_factors, shares, threads, said))
        ranked = Ranked(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("item_idx", "scores")))
        return ranked, joined(reasons)


def _ladder(interactions: Interactions, users: pa.Table, items: pa.Table, popular: PopularList, now: int) -> Ladder:
    """The popular lists: of all, of each category, and among the users of each segment."""
    categories = items["categories"].combine_chunks()
    item_of_name = np.repeat(
        np.arange(len(categories)), pc.list_value_length(categories).to_numpy(zero_copy_only=False)
    )
    names = categories.flatten().dictionary_encode()
    by_category = {}
    for place, name in sorted(enumerate(names.dictionary.to_pylist()), key=lambda pair: pair[1]):
        mask = np.zeros(len(categories), bool)
        mask[item_of_name[names.indices.to_numpy() == place]] = True
        by_category[name] = popular.restricted_to(mask)
    segment = users["segment"].combine_chunks()
    by_segment = {}
    for name in sorted(set(pc.unique(segment.drop_null()).to_pylist())):
        theirs = pc.fill_null(pc.equal(segment, name), False).to_numpy(zero_copy_only=False)
        order, score = popular_order(interactions.where(theirs[interactions.user_idx]), now)
        by_segment[name] = PopularList(order, score).before(popular)
    return Ladder(popular, by_category, by_segment, users["prefers"].to_pylist(), segment.to_pylist())


def _model_of(night: Night, user_ids: list[str], item_ids: list[str]) -> _Model | None:
    chosen = night.chosen_model()
    if chosen.source == "none":
        return None
    if chosen.source == "champion":
        stored, recipe = night.champion_model(), Recipe.from_json(_champion_recipe(night))
    else:
        stored = night.refit_model()
        recipe = night.catalog.recipe
    users = set(stored.user_ids)
    return _Model(
        aligned(stored.factors.item_factors, stored.item_ids, item_ids),
        recipe,
        np.array([user_id in users for user_id in user_ids], bool),
    )


def _with_new_items(
    night: Night,
    model: _Model,
    items: pa.Table,
    confidence: csr_matrix,
    seen: csr_matrix | None,
    eligible: np.ndarray,
    blend: Blend | None,
) -> Completed:
    """The model's item factors and, where the catalog says so, predicted ones of items that it does not know.

    Users are folded in without the predicted ones: these are no reason for a list to look otherwise.
    """
    settings = night.catalog.items
    if settings is None or settings.new == "wait":
        return Completed(model.item_factors, np.zeros(items.num_rows, bool))
    titles, categories = (items[name].combine_chunks() for name in ("title", "categories"))
    found = completed(model.item_factors, titles, categories, model.recipe.blend)
    if not found.predicted.any():
        return found
    users = np.flatnonzero(np.diff(confidence.indptr) > 0)
    users = users[:: -(-users.size // SAMPLE_USERS) or 1]
    held = held_down(
        found,
        fold_in(confidence[users], model.item_factors, model.recipe, night.threads),
        night.catalog.top_n.served,
        None if seen is None else seen[users],
        eligible,
        settings.max_new_share,
        night.threads,
        None if blend is None else blend.of(users),
    )
    return replace(found, item_factors=held)


def _champion_recipe(night: Night) -> dict[str, object]:
    assert night.request.champion is not None
    return night.request.champion.recipe
