"""The lists of a night, made with tonight's model and all that is known tonight."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.lists.choice import NEIGHBOURS, NO_MODEL
from recjobs.core.lists.maker import Knowledge, ListMaker, Lists, Model, Past
from recjobs.core.lists.rotation import Rotation
from recjobs.core.lists.seen import kept_out_of
from recjobs.core.model.als import aligned
from recjobs.core.model.neighbours import of_table
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import RowBlocks
from recjobs.night.night import Night

SPARE = 10
"""Places below the served ones that get reasons too, since rules may move their items up."""


class UserLists:
    """Make the lists of some users, by their places among user_ids.

    in_fit: whether the model was fit on each user's rows; None without a model. explained: places with reasons.
    rotation: of these users; None: the catalog has none.
    """

    def __init__(
        self,
        maker: ListMaker,
        user_ids: pa.Array,
        item_ids: pa.Array,
        in_fit: np.ndarray | None,
        explained: int,
        rotation: Rotation | None = None,
    ) -> None:
        self.maker, self.user_ids, self.item_ids = maker, user_ids, item_ids
        self.in_fit, self.explained, self.rotation = in_fit, explained, rotation

    def of(self, users: np.ndarray, n: int) -> Lists:
        """Return lists of n items for these users (user_idx), with reasons."""
        if self.rotation is None:
            return self.maker.lists(users, n, min(n, self.explained))
        return self.rotation.applied(self.maker.lists(users, n, n), users)  # any place may rise

    def sources(self, users: np.ndarray, lists: Lists) -> pa.Array:
        """The source of each list: `als`, `foldin` (the user came after the fit), `neighbours` (no model is in charge),
        `again` (own items) or `popular`."""
        known = np.full(users.size, "neighbours")
        if self.maker.model is not None and self.maker.model.item_factors is not None and self.in_fit is not None:
            known = np.where(self.in_fit[users], "als", "foldin")
        known = np.where(lists.again, "again", known)
        return pa.array(np.where(lists.n_model > 0, known, "popular"))


class NightLists(UserLists):
    """Make a night's lists, without rotation: `trace` for one user. `score` makes them chunk by chunk of what this
    shares with `ListParts`.

    rows: all interactions; None: in memory.
    """

    def __init__(self, night: Night, rows: RowBlocks | None = None) -> None:
        self.night, self.items, users = night, night.items(), night.users()
        self.in_fit, self.explained, self.rotation = None, night.catalog.top_n.served + SPARE, None
        self.user_ids, self.item_ids = users["user_id"].combine_chunks(), self.items["item_id"].combine_chunks()
        past = self.past = Past(night.interactions() if rows is None else rows, night.now, night.engine)
        settings = night.catalog.items
        known = Knowledge(
            self.items["available"].to_numpy(),
            self.items,
            users["segment"].to_pylist(),
            users["prefers"].to_pylist(),
            settings.max_new_share if settings and settings.new == "predict" else None,
            night.catalog.top_n.served,
            night.group_limits(),
            night.catalog.active_days,
        )
        source = night.chosen_model().source
        view, after_days = night.catalog.view, night.catalog.after_days
        choice = night.verdict().list_choice({"champion": "champion", "none": NO_MODEL}.get(source, "candidate"))
        model = self._model(source)
        if model is None and NEIGHBOURS in choice.instead.values():
            model, choice = Model(None, night.catalog.recipe), replace(choice, instead={})
        self.maker = ListMaker(past, known, model, lambda: kept_out_of(past.rows, view, past.now, after_days), choice)

    def _model(self, source: str) -> Model | None:
        if source == "none":
            return None
        champion = self.night.request.champion
        stored = self.night.champion_model() if source == "champion" else self.night.refit_model()
        recipe = Recipe.from_json(champion.recipe) if champion and source == "champion" else self.night.catalog.recipe
        in_fit = pc.is_in(self.user_ids, pa.array(stored.user_ids, self.user_ids.type))
        self.in_fit = in_fit.to_numpy(zero_copy_only=False)
        kept = self.night.neighbours() if source == "refit" and recipe.blend else None
        if kept is not None and kept.num_rows == len(self.item_ids):
            self.past.similarity(recipe, of_table(kept))
        item_factors = aligned(stored.factors.item_factors, stored.item_ids, self.item_ids.to_pylist())
        return Model(item_factors, recipe, stored.ranker)
