"""What each setting of lists costs: NDCG of the lists as served, beside the same lists without the setting."""

from collections.abc import Mapping

from recjobs.core.evaluation.bootstrap import relative_difference
from recjobs.core.evaluation.exam import Answer, Exam, Rows, answer
from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.knowledge import Knowledge
from recjobs.core.lists.maker import ListMaker, Model, Past


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
        difference = relative_difference(values, plain, seed)
        row = {"setting": name, "ndcg_at_20": float(values.mean()), "without": float(plain.mean())}
        rows.append(row | {"difference": difference.value, "low": difference.low, "high": difference.high})
    return rows
