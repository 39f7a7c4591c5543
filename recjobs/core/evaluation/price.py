"""What each setting of lists costs: NDCG of the lists as served, beside the same lists without the setting."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recjobs.core.evaluation.bootstrap import relative_difference
from recjobs.core.evaluation.exam import Answer, Exam, Rows, answer
from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.knowledge import Knowledge
from recjobs.core.lists.maker import ListMaker, Lists, Model, Past
from recjobs.core.lists.rotation import Rotation, rotated


def price_rows(
    past: Past,
    without: Mapping[str, Knowledge],
    questions: Exam,
    model: Model,
    served: Answer,
    choice: ListChoice,
    seed: int,
) -> Rows:
    """A row for each setting, by name: NDCG@20 of the lists as served, and `without` the setting; the relative
    difference that the setting makes, with its interval (None: no bound).

    without: what is known of items and users, apart from the setting.
    """
    rows: Rows = []
    for name, known in without.items():
        maker = ListMaker(past, known, model, questions.kept_out, choice)
        plain = answer(name, maker, questions).per_user["ndcg"]
        values = served.per_user["ndcg"]
        if not plain.size:
            continue
        rows.append(_row(name, values, plain, seed))
    return rows


def rotation_row(
    maker: ListMaker, questions: Exam, rotation: Rotation | None, after: int, stored: int, places: int, seed: int
) -> Rows:
    """The row of `top_n.rotate_after`, of a maker's lists of `stored` items; none without users. places: the first ones
    of a list, which count as shown.

    rotation: by what had been shown at the cutoff; then `moved` is the share of the first places that hold another item
    than without it. None: as it is for users who take nothing, in the mean over a whole rotation, in which each of the
    list's items stands in front once; `phases` is how many lists that are.
    """
    if not questions.users.size:
        return []
    lists = maker.lists(questions.users, stored)
    plain = _ndcg(lists, questions)
    if rotation is not None:
        served = rotation.applied(lists, questions.users)
        first, before = (each.ranked.item_idx[:, :places] for each in (served, lists))
        measured: dict[str, Any] = {"moved": float((first != before)[before >= 0].mean())}
        return [_row("top_n.rotate_after", _ndcg(served, questions), plain, seed) | measured]
    phases = max(1, -(-int(lists.ranked.lengths.max()) // places))
    of_phases = []
    for phase in range(phases):
        nights = np.where(np.arange(lists.ranked.item_idx.shape[1]) < phase * places, after, 0)
        of_phases.append(_ndcg(rotated(lists, nights[None], after), questions))
    return [_row("top_n.rotate_after", np.mean(of_phases, axis=0), plain, seed) | {"phases": phases}]


def _ndcg(lists: Lists, questions: Exam) -> np.ndarray:
    return Answer.of("", lists, questions).per_user["ndcg"]


def _row(name: str, served: np.ndarray, plain: np.ndarray, seed: int) -> dict[str, Any]:
    difference = relative_difference(served, plain, seed)
    row = {"setting": name, "ndcg_at_20": float(served.mean()), "without": float(plain.mean())}
    return row | {"difference": difference.value, "low": difference.low, "high": difference.high}
