"""Inspect the finished lists before anything reaches Postgres."""

from typing import Any

import numpy as np
import pyarrow as pa

from recjobs.core.lists.bands import BANDS, Measured, measure, top_items
from recjobs.core.lists.checksum import Digests, total
from recjobs.core.lists.contract import OTHER_LISTS, Broken, World, check_ids, check_other_lists
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import DAY
from recjobs.core.rows.stored_rows import StoredRows
from recjobs.errors import ListsRefused, ModelRefused
from recjobs.night.handovers import Handovers
from recjobs.night.list_checks import ListChecks, checked_chunks
from recjobs.night.night import Night
from recjobs.night.stored import stored_rows


def run(night: Night) -> dict[str, Any]:
    """Write inspection.json with the lists' checksum. Raises ListsRefused with check, value, band and ten users, unless
    the night was forced."""
    rows, world = stored_rows(night, "validate", "interactions.parquet"), _world(night)
    activity, taken, inactive = _counted(night, rows)
    active = _active(night, activity, world.user_ids)
    top_n, broken, listed, digests = night.catalog.top_n, Broken(), list[np.ndarray](), list[Digests]()
    checks = ListChecks.of(night, world)
    shape = checks.shape
    for chunk in checked_chunks(night, checks, world.user_ids):
        broken.join(chunk.broken)
        listed.append(chunk.users)
        shape.join(chunk.shape)
        digests.append(chunk.digests)
    users = np.concatenate([*listed, np.zeros(0, np.int64)])
    counted = np.bincount(users[users >= 0], minlength=len(world.user_ids))
    broken.note("user_twice", world.user_ids, counted > 1)
    missing = (counted == 0) & ~inactive
    broken.note("user_without_list", world.user_ids, missing)
    broken.note("list_of_an_inactive_user", world.user_ids, (counted > 0) & inactive)
    _check_other_tables(night, world, broken)
    checksum = total(digests)
    live = night.live()
    by_model = any(n.any() for n in shape.n_model)
    if live and by_model and _is_of_another_night(night, live, checksum):
        broken.note("lists_of_another_night", world.user_ids, np.ones(len(world.user_ids), bool))

    served, tops = top_n.served, _live_tops(live, world.item_ids) if live else None
    measured = measure(
        shape,
        served=served,
        eligible=world.eligible,
        taken=taken,
        active=active,
        live=tops,
        places=world.n_eligible,
        may_be_short=world.may_be_short,
    )
    if world.may_be_short and not any(length.any() for length in shape.length):
        broken.note("no_confident_item", world.user_ids, ~inactive)
    n_expected, without = int((~inactive).sum()), world.user_ids.filter(pa.array(missing)).slice(0, 10)
    covered = 1 - missing.sum() / n_expected if n_expected else float(counted.size > 0)
    measured["users_covered"] = Measured(float(covered), [str(user) for user in without.to_pylist()])
    outside = _outside(night, measured, world)
    result = {
        "checksum": checksum,
        "users": int((counted > 0).sum()),
        "filled": int(sum((length > 0).sum() for length in shape.length)),
        "values": {name: each.value for name, each in measured.items()},
        "bands": night.catalog.inspect.model_dump(),
        "broken": broken.counts,
        "examples": broken.users | {name: measured[name].users for name in outside},
        "outside": sorted(outside),
        "live_batch": live.batch_id if live else None,
        "forced": night.request.force,
    }
    with night.writing("inspect") as files:
        files.save_json("inspection.json", result)
        files.save_table("exposure.parquet", shape.exposure())
        if (outside or broken.counts) and night.request.force is None:
            raise ListsRefused(_message(night, broken, outside, measured))
    values = {name: round(each.value, 4) for name, each in measured.items() if each.value is not None}
    return {"users": result["users"], "checksum": checksum, **values}


def _world(night: Night) -> World:
    """What lists are checked against, without anybody's items."""
    items, limits = night.items(), night.group_limits()
    return World(
        night.users()["user_id"].combine_chunks(),
        items["item_id"].combine_chunks(),
        items["available"].to_numpy(),
        None,
        np.zeros(0, np.int64),
        night.catalog.top_n.stored,
        None if limits is None else limits.product,
        night.catalog.top_n.min_confidence is not None,
    )


def _active(night: Night, activity: np.ndarray, user_ids: pa.Array) -> pa.Array:
    """The users whose list should be a model's."""
    source = "champion" if night.chosen_model().source == "champion" else "candidate"
    by_model = (activity > 0) & ~night.verdict().list_choice(source).replaced(activity)
    return user_ids.filter(pa.array(by_model))


def _counted(night: Night, rows: StoredRows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(how many interactions each user has; a mask of the items with interactions; a mask of the users who have some,
    and none within the catalog's active_days)"""
    activity, taken = np.zeros(rows.n_users, np.int64), np.zeros(rows.n_items, bool)
    days, recent = night.catalog.active_days, np.zeros(rows.n_users, bool)
    since = np.iinfo(np.int64).min if days is None else microseconds(night.request.as_of) - int(days * DAY)
    for block in rows.blocks():
        np.add.at(activity, block.user_idx, 1)
        taken[block.item_idx] = True
        recent[block.user_idx[block.occurred_at >= since]] = True
    return activity, taken, (activity > 0) & ~recent


def _check_other_tables(night: Night, world: World, broken: Broken) -> None:
    similar = night.scored("similar").read()
    check_other_lists(similar, "item_id", world, broken, eligible_only=True)
    if "together_ids" in similar.column_names:  # else the lists are of an older version
        together = similar.select(["item_id", "together_ids", "together_scores"]).rename_columns(OTHER_LISTS)
        check_other_lists(together, "item_id", world, broken, eligible_only=True)
    check_other_lists(night.scored("popular").read(), "segment", world, broken, eligible_only=True)
    history = night.scored("history")
    if "again_ids" in history.schema_arrow.names:
        again = history.read(["user_id", "again_ids", "again_scores"]).rename_columns(["user_id", *OTHER_LISTS[1:]])
        check_other_lists(again, "user_id", world, broken, eligible_only=True)
    item_ids, user_ids = night.scored("items").read(["item_id"]), history.read(["user_id"])
    check_ids(item_ids["item_id"].combine_chunks(), world.item_ids, "items_differ", broken)
    check_ids(user_ids["user_id"].combine_chunks(), world.user_ids, "history_of_other_users", broken)


def _live_tops(live: Handovers, item_ids: pa.Array) -> tuple[pa.Array, np.ndarray] | None:
    """The live batch's users and the first items of each; None if no list is a model's."""
    users, tops, by_model = list[pa.Array](), list[np.ndarray](), False
    try:
        for chunk in live.list_chunks():
            lists = chunk.read(["user_id", "item_ids", "n_model"])
            users.append(lists["user_id"].combine_chunks())
            tops.append(top_items(lists, item_ids))
            by_model = by_model or bool(lists["n_model"].to_numpy().any())
    except ModelRefused:  # damaged or partly pruned
        return None
    return (pa.concat_arrays(users), np.concatenate(tops)) if by_model else None


def _is_of_another_night(night: Night, live: Handovers, checksum: str) -> bool:
    """Whether the lists equal the live batch's although the interactions differ."""
    pin = night.request.live_batch
    if pin is None or pin.checksum != checksum or not live.is_done("validate"):
        return False
    return not _pairs(live).equals(_pairs(night))


def _pairs(night: Handovers) -> pa.Table:
    """User and item id of every interaction."""
    rows = night.interactions()
    user_ids, item_ids = night.users()["user_id"], night.items(["item_id"])["item_id"]
    return pa.table({"user": user_ids.take(pa.array(rows.user_idx)), "item": item_ids.take(pa.array(rows.item_idx))})


def _outside(night: Night, measured: dict[str, Measured], world: World) -> dict[str, float]:
    """The bounds that are violated, by measure."""
    outside = {}
    for name, key in BANDS.items():
        value, bound = measured[name].value, getattr(night.catalog.inspect, key)
        if name == "top_item_share":
            bound = max(bound, 3 / max(1, int(world.eligible.sum())))  # a few items cannot spread
        if value is not None and (value < bound if key.startswith("min_") else value > bound):
            outside[name] = bound
    return outside


def _message(night: Night, broken: Broken, outside: dict[str, float], measured: dict[str, Measured]) -> str:
    lines = [f"{n} lists break {check} ({_such_as(broken.users[check])})" for check, n in broken.counts.items()]
    lines += [
        f"{name} is {measured[name].value:.4f}, inspect.{BANDS[name]} is {bound:g} ({_such_as(measured[name].users)})"
        for name, bound in outside.items()
    ]
    why = "; ".join(lines)
    return f"the lists of {night.batch_id} are not fit to publish: {why}. `--force REASON` publishes them all the same"


def _such_as(names: list[str]) -> str:
    return f"such as {', '.join(names)}" if names else "of nobody in particular"
