"""Finish every user's list, the similar items and the popular lists, in chunks that a killed try is resumed at."""

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from recjobs.adapters.artifacts import StepFiles
from recjobs.catalog import Catalog
from recjobs.core.als import aligned, fold_in
from recjobs.core.attributes import Completed, completed, held_down
from recjobs.core.evaluation import blend_of, kept_out_of
from recjobs.core.finishing import Ladder, PopularList, as_lists, fill_up, latest, similar
from recjobs.core.interactions import Interactions
from recjobs.core.model_file import StoredModel
from recjobs.core.neighbours import Blend
from recjobs.core.popularity import popular_order, popularity
from recjobs.core.ranking import Ranked, best_items
from recjobs.core.recipe import Recipe
from recjobs.core.splitting import microseconds
from recjobs.night import Night

CHUNK_USERS = 20_000
N_SIMILAR = 50
N_HISTORY = 20
SAMPLE_USERS = 1000
"""Users whose lists show how many places new items would take."""


@dataclass(frozen=True)
class _Model:
    """Item factors in tonight's order, their recipe, and which of tonight's users the model was fit on."""

    item_factors: np.ndarray
    recipe: Recipe
    knew_user: np.ndarray


def run(catalog: Catalog, batch_id: str) -> dict[str, int]:
    """Write top_n-*.parquet, similar.parquet, popular.parquet, items.parquet and history.parquet."""
    night = Night.open(catalog, batch_id)
    interactions = Interactions.from_table(night.artifacts.load_table("validate", "interactions.parquet"))
    items = night.artifacts.load_table("validate", "items.parquet")
    users = night.artifacts.load_table("validate", "users.parquet")
    user_ids = users["user_id"].combine_chunks()
    item_ids = items["item_id"].combine_chunks()
    eligible = items["available"].to_numpy()
    now = microseconds(night.request.as_of)
    order, score = popular_order(interactions, now)
    popular = PopularList(order, score).restricted_to(eligible)
    ladder = _ladder(interactions, users, items, popular, now)
    model = _model_of(night, user_ids.to_pylist(), item_ids.to_pylist())
    n = night.catalog.top_n.stored

    with night.artifacts.writing("score", resume_key=_key(night)) as files:
        seen = kept_out_of(interactions, night.view, now, night.after_days)
        confidence = interactions.confidence(model.recipe, now) if model else None
        blend = blend_of(confidence, model.recipe, night.threads) if model and confidence is not None else None
        found = None
        if model is not None and confidence is not None:
            found = _with_new_items(night, model, items, confidence, seen, eligible, blend)
        for number, first in enumerate(range(0, len(user_ids), CHUNK_USERS)):
            name = f"top_n-{number:05d}.parquet"
            if name in files.hashes:
                continue
            last = min(first + CHUNK_USERS, len(user_ids))
            seen_here = None if seen is None else seen[first:last]
            if model is not None and confidence is not None and found is not None:
                vectors = fold_in(confidence[first:last], model.item_factors, model.recipe, night.threads)
                usable = eligible & found.item_factors.any(axis=1)
                added = None if blend is None else blend.of(slice(first, last))
                ranked = best_items(vectors, found.item_factors, n, seen_here, usable, night.threads, added)
                source = np.where(model.knew_user[first:last], "als", "foldin")
            else:
                ranked = Ranked(
                    np.full((last - first, n), -1, np.int32), np.full((last - first, n), np.nan, np.float32)
                )
                source = np.full(last - first, "popular")
            lists, n_model, n_category = fill_up(ranked, ladder, np.arange(first, last), seen_here, len(item_ids))
            ids, scores = as_lists(lists, item_ids)
            table = {
                "user_id": user_ids.slice(first, last - first),
                "item_ids": ids,
                "scores": scores,
                "source": pa.array(np.where(n_model > 0, source, "popular")),
                "n_model": pa.array(n_model.astype(np.int16)),
                "n_category": pa.array(n_category.astype(np.int16)),
            }
            files.save_table(name, pa.table(table))
            files.checkpoint()
        _save_rest(files, night, interactions, items, ladder, found, eligible)
    predicted = int((found.predicted & eligible).sum()) if found else 0
    return {"users": len(user_ids), "items": len(item_ids), "predicted": predicted, "n": n}


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
    chosen = night.artifacts.load_json("refit", "model.json")
    if chosen["source"] == "none":
        return None
    if chosen["source"] == "champion":
        stored, recipe = night.champion_model(), Recipe.from_json(_champion_recipe(night))
    else:
        stored = StoredModel.from_arrays(night.artifacts.load_arrays("refit", "model.npz"))
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


def _key(night: Night) -> str:
    """What finished chunks hang on: equal key, equal chunks."""
    made_from = [night.artifacts.manifest(step) for step in ("begin", "validate", "refit")]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _save_rest(
    files: StepFiles,
    night: Night,
    interactions: Interactions,
    items: pa.Table,
    ladder: Ladder,
    found: Completed | None,
    eligible: np.ndarray,
) -> None:
    item_ids = items["item_id"].combine_chunks()
    if found is not None:
        alike = similar(found.item_factors, N_SIMILAR, eligible, night.threads, found.trusted())
        ids, scores = as_lists(alike, item_ids)
    else:
        ids, scores = (pa.array([[]] * len(item_ids), pa.list_(kind)) for kind in (pa.string(), pa.float32()))
    files.save_table("similar.parquet", pa.table({"item_id": item_ids, "item_ids": ids, "scores": scores}))

    segments = {"all": ladder.overall}
    segments |= {f"category:{name}": popular for name, popular in ladder.by_category.items()}
    segments |= {f"segment:{name}": popular for name, popular in ladder.by_segment.items()}
    n = night.catalog.top_n.stored
    rows = [
        {
            "segment": name,
            "item_ids": item_ids.take(pa.array(popular.order[:n])).to_pylist(),
            "scores": popular.score[:n].tolist(),
        }
        for name, popular in segments.items()
    ]
    shape = pa.schema({"segment": pa.string(), "item_ids": pa.list_(pa.string()), "scores": pa.list_(pa.float32())})
    files.save_table("popular.parquet", pa.Table.from_pylist(rows, shape))
    files.save_table(
        "items.parquet", items.append_column("n_users", pa.array(popularity(interactions).astype(np.int32)))
    )

    users, item_idx, at = latest(interactions, N_HISTORY)
    offsets = pa.array(
        np.concatenate([[0], np.cumsum(np.bincount(users, minlength=interactions.n_users))]).astype(np.int32)
    )
    user_ids = night.artifacts.load_table("validate", "users.parquet")["user_id"]
    history = {
        "user_id": user_ids,
        "item_ids": pa.ListArray.from_arrays(offsets, item_ids.take(pa.array(item_idx))),
        "occurred_at": pa.ListArray.from_arrays(offsets, pa.array(at).cast(pa.timestamp("us", "UTC"))),
    }
    files.save_table("history.parquet", pa.table(history))
