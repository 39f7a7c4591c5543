"""Drift: how far a night's newest rows have moved from those of an earlier night.

Both nights are described by a profile of their last days, of equal length. Two profiles are compared by the population
stability index (PSI), sum((p - q) ln(p / q)) over bins with shares p and q: below 0.1 nothing happened, above 0.25
something did. Half a row is added to every bin, so that an empty one counts little and not infinitely. Between two
samples of one population it is about (bins - 1) (1 / n + 1 / m), 0.04 for 20 bins of 1,000 rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows.interactions import DAY, RowBlocks

ITEM_BINS = 20
_ACTIVITY = ("1", "2", "3 to 4", "5 to 8", "9 to 16", "17 to 32", "33 to 64", "65 to 128", "more")
_LOG_WEIGHT = (-16, 31)
_WEIGHTS = _LOG_WEIGHT[1] - _LOG_WEIGHT[0] + 1


@dataclass(frozen=True)
class Profile:
    """What a night's last days look like.

    n: interactions in the window. histograms: feature -> bin -> count. items: item_id, n_ever and n_lately of each
    item. user_ids: of all users; active: of those in the window.
    """

    n: int
    histograms: dict[str, dict[str, int]]
    items: pa.Table
    user_ids: pa.Array
    active: pa.Array

    def to_json(self) -> dict[str, Any]:
        """The part stored as JSON; items and users are tables of their own."""
        return {"n": self.n, "histograms": self.histograms}


def profile(rows: RowBlocks, user_ids: pa.Array, item_ids: pa.Array, until: int, days: float) -> Profile:
    """The profile of the last `days` before `until` (microseconds)."""
    kinds = () if len(rows) else rows.whole().kinds
    of_kind, of_hour, of_weight = (np.zeros(n, np.int64) for n in (len(kinds) + 1, 24, _WEIGHTS))
    ever, lately, bucket = np.zeros(len(item_ids), np.int64), np.zeros(len(item_ids), np.int64), list[np.ndarray]()
    active = np.zeros(len(user_ids), bool)
    for block in rows.blocks():
        window, kinds = block.where(block.occurred_at >= until - days * DAY), block.kinds
        per_user = np.unique(window.user_idx, return_counts=True)
        active[per_user[0]] = True
        bucket.append(np.minimum(np.ceil(np.log2(per_user[1])).astype(np.int8), len(_ACTIVITY) - 1))
        weight = np.clip(np.floor(np.log2(window.weight.astype(float))).astype(int), *_LOG_WEIGHT)
        of_weight += np.bincount(weight - _LOG_WEIGHT[0], minlength=_WEIGHTS)
        of_hour += np.bincount(window.occurred_at // 3_600_000_000 % 24, minlength=24)
        of_kind = of_kind + np.bincount(window.kind + 1, minlength=len(kinds) + 1)
        ever += np.bincount(block.item_idx, minlength=len(item_ids))
        lately += np.bincount(window.item_idx, minlength=len(item_ids))
    of_activity = np.bincount(np.concatenate([*bucket, np.zeros(0, np.int8)]), minlength=len(_ACTIVITY))
    some = np.flatnonzero(of_weight)
    low, high = (int(some[0]), int(some[-1])) if some.size else (-_LOG_WEIGHT[0], -_LOG_WEIGHT[0] - 1)
    of_weight = of_weight[low : high + 1]
    return Profile(
        int(of_hour.sum()),
        {
            "user_activity": _named(_ACTIVITY, of_activity),
            "kinds": _named(["none", *kinds], of_kind),
            "weights": _named([f"{2.0 ** (k + _LOG_WEIGHT[0]):g}" for k in range(low, high + 1)], of_weight),
            "hour_of_day": _named([f"{hour:02d}" for hour in range(24)], of_hour),
        },
        pa.table({"item_id": item_ids, "n_ever": ever, "n_lately": lately}),
        user_ids,
        user_ids.filter(pa.array(active)),
    )


def _named(names: Any, counts: np.ndarray) -> dict[str, int]:
    return {name: int(n) for name, n in zip(names, counts.tolist(), strict=False)}


@dataclass(frozen=True)
class FeatureDrift:
    """How far one feature moved: the PSI, or the share that is new; with the bins to draw, before and now."""

    feature: str
    value: float
    bins: dict[str, tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {"feature": self.feature, "value": self.value, "bins": {k: list(v) for k, v in self.bins.items()}}


def compare(before: Profile, now: Profile) -> list[FeatureDrift]:
    """Every feature's drift between two nights."""
    moved = [_moved("item_mix", _item_bins(before, now))]
    for feature, counts in now.histograms.items():
        earlier = before.histograms[feature]
        names = sorted(set(earlier) | set(counts), key=_place)
        moved.append(_moved(feature, {name: (earlier.get(name, 0), counts.get(name, 0)) for name in names}))
    new_users = pc.sum(pc.invert(pc.is_in(now.active, before.user_ids))).as_py() or 0
    new = pc.invert(pc.is_in(now.items["item_id"], before.items["item_id"].combine_chunks()))
    n_new = pc.sum(now.items["n_lately"].filter(new)).as_py() or 0
    return [
        *moved,
        FeatureDrift("unknown_users", new_users / max(1, len(now.active)), {}),
        FeatureDrift("unknown_items", n_new / max(1, now.n), {}),
    ]


def _place(name: str) -> tuple[int, float, str]:
    number = name.split(" ")[0]
    try:
        return (0, float(number), name)
    except ValueError:
        return (1, 0.0, name)


def _item_bins(before: Profile, now: Profile) -> dict[str, tuple[int, int]]:
    """Interactions of both windows by bins of items of equal all-time popularity; new items are left out.

    The bins do not depend on the earlier window: items that sold well in it by chance would sell worse in any other.
    """
    ever = before.items["n_ever"].to_numpy()
    order = np.argsort(-ever, kind="stable")
    mass = np.cumsum(ever[order])
    of_item = np.empty(ever.size, np.int64)
    of_item[order] = np.minimum((mass - ever[order]) * ITEM_BINS // max(1, int(ever.sum())), ITEM_BINS - 1)
    earlier = np.bincount(of_item, before.items["n_lately"].to_numpy(), minlength=ITEM_BINS)
    place = pc.index_in(now.items["item_id"].combine_chunks(), before.items["item_id"].combine_chunks())
    known = place.is_valid().to_numpy(zero_copy_only=False)
    here = of_item[pc.drop_null(place).to_numpy(zero_copy_only=False)]
    later = np.bincount(here, now.items["n_lately"].to_numpy()[known], minlength=ITEM_BINS)
    pairs = zip(earlier.astype(int).tolist(), later.astype(int).tolist(), strict=True)
    return {str(number + 1): pair for number, pair in enumerate(pairs)}


def _moved(feature: str, bins: dict[str, tuple[int, int]]) -> FeatureDrift:
    then, now = (np.array([pair[side] for pair in bins.values()]) for side in (0, 1))
    return FeatureDrift(feature, stability_index(then, now), bins)


def stability_index(before: np.ndarray, now: np.ndarray) -> float:
    """The PSI of two histograms with the same bins; bins that are empty in both do not count."""
    used = (before > 0) | (now > 0)
    if not used.any():
        return 0.0
    p, q = ((counts[used] + 0.5) / (counts[used].sum() + 0.5 * used.sum()) for counts in (now, before))
    return float(((p - q) * np.log(p / q)).sum())
