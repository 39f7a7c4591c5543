"""Which list each group of users is served: chosen on one half of the holdout's users, judged on the other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from recjobs.core.evaluation.bootstrap import DECIMALS, relative_difference
from recjobs.core.evaluation.exam import Answer, Exam, K, answer
from recjobs.core.lists.choice import GROUPS, NEIGHBOURS, NO_MODEL, OWN_FREQUENCY, UNKNOWN, ListChoice
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.lists.popularity import DEFAULT_WINDOW, WINDOWS
from recjobs.core.model.ranking import Ranked
from recjobs.core.recipe import Recipe

MIN_USERS = 50
"""The fewest users of a group in a half that count."""
MIN_KNOWN = 20
"""The fewest known users of whom the best simple list is chosen where no model is in charge."""


@dataclass(frozen=True)
class Contest:
    """The answers of all contenders in one exam, and the list choice of each model, and without one (NO_MODEL)."""

    answers: dict[str, Answer]
    choices: dict[str, ListChoice]


def contest(
    past: Past,
    known: Knowledge,
    questions: Exam,
    models: Mapping[str, Model],
    baselines: Mapping[str, Model],
    seed: int,
    choices: Mapping[str, ListChoice] | None = None,
    ranked: Mapping[str, Ranked] | None = None,
) -> Contest:
    """Ask models as they would be served, baselines as they are, the popular list of every window, and where lists may
    hold items that the user had before, their own by frequency.

    choices: from another view of the same holdout; None: chosen here. All are filled from the same ladder. ranked: what
    `rank_views` made of some of the models and baselines for this exam.
    """
    users = questions.users

    def maker_of(model: Model | None, choice: ListChoice | None = None) -> ListMaker:
        return ListMaker(past, known, model, questions.kept_out, choice)

    popular = {window: answer(window, maker_of(None, ListChoice(window)), questions) for window in WINDOWS}
    ndcg = {window: one.per_user["ndcg"] for window, one in popular.items()}
    activity, deciding = past.activity[users], deciding_half(users.size, seed)
    if choices and models:  # what was chosen there holds here
        base = next(iter(choices.values()))
    else:
        base = ListChoice.from_activity(activity, best_window(ndcg, activity == 0, deciding, seed))
    answers, chosen = dict[str, Answer](), dict[str, ListChoice]()
    own = _own_frequency(past, known, questions, next(iter((choices or {}).values()), base))
    simple = ndcg | {name: one.per_user["ndcg"] for name, one in own.items()}
    ranked_by = dict[tuple[int, Recipe], Ranked]()  # a champion of tonight's recipe may be tonight's candidate
    for name, model in models.items():
        key = (id(model.item_factors), model.recipe)
        if key not in ranked_by:
            ranked_by[key] = (ranked or {}).get(name) or maker_of(model).rank(users, K)[0]
        if choices:
            chosen[name] = choices[name]
        else:
            answers[name] = Answer.of(name, maker_of(model, base).finish(ranked_by[key], users), questions)
            chosen[name] = choose(base, answers[name].per_user["ndcg"], simple, activity, deciding, seed)
        if name not in answers or chosen[name] != base:
            served = ranked_by[key].without(chosen[name].replaced(activity))
            answers[name] = Answer.of(name, maker_of(model, chosen[name]).finish(served, users), questions)
    base = next(iter(chosen.values()), base)
    for name, model in baselines.items():
        maker = maker_of(model, ListChoice(base.popular))
        of_model = (ranked or {}).get(name) or maker.rank(users, K)[0]
        answers[name] = Answer.of(name, maker.finish(of_model, users), questions)
    rivals = simple | {name: answers[name].per_user["ndcg"] for name in baselines if name == NEIGHBOURS}
    without = choices.get(NO_MODEL) if choices else without_model(base, rivals, activity, deciding, seed)
    chosen |= {NO_MODEL: without} if without else {}
    return Contest(answers | own | popular, chosen)


def _own_frequency(past: Past, known: Knowledge, questions: Exam, base: ListChoice) -> dict[str, Answer]:
    """The answer of the users' own items, filled from the same ladder; nothing where all of them are kept out."""
    everybody = replace(base, instead=dict.fromkeys(GROUPS, OWN_FREQUENCY))
    one = ListMaker(past, known, None, questions.kept_out, everybody).lists(questions.users, K)
    return {OWN_FREQUENCY: Answer.of(OWN_FREQUENCY, one, questions)} if one.n_model.any() else {}


def deciding_half(n_users: int, seed: int) -> np.ndarray:
    """A mask of half of the users, drawn by the seed: choices made on the others are tested on these."""
    half = np.zeros(n_users, bool)
    half[np.random.default_rng(seed).permutation(n_users)[: n_users // 2]] = True
    return half


def best_window(ndcg: Mapping[str, np.ndarray], unknown: np.ndarray, deciding: np.ndarray, seed: int) -> str:
    """The popular list for users whom no model knows; ndcg: window -> NDCG of each user.

    The best one of the choosing half, unless another is significantly better in the deciding half. It is measured on
    `unknown` users, on all where those are fewer than MIN_USERS; with fewer users in all it is the default.
    """
    asked = unknown if (unknown & ~deciding).sum() >= MIN_USERS else np.ones(unknown.size, bool)
    if (asked & ~deciding).sum() < MIN_USERS:
        return DEFAULT_WINDOW
    best = _best(ndcg, asked & ~deciding)
    rival = _best(ndcg, asked & deciding) if (asked & deciding).sum() >= MIN_USERS else best
    return rival if _is_better(ndcg[rival], ndcg[best], asked & deciding, seed) else best


def choose(
    base: ListChoice,
    model: np.ndarray,
    popular: Mapping[str, np.ndarray],
    activity: np.ndarray,
    deciding: np.ndarray,
    seed: int,
) -> ListChoice:
    """The choice in which a group gets its best simple list (of the choosing half) in place of the model's, where that
    is significantly better (in the deciding half, on at least MIN_USERS). model, popular: NDCG of each user."""
    instead = {}
    for group, mask in base.groups(activity).items():
        if group != UNKNOWN and (mask & deciding).sum() >= MIN_USERS and (mask & ~deciding).any():
            window = _best(popular, mask & ~deciding)
            if _is_better(popular[window], model, mask & deciding, seed):
                instead[group] = window
    return replace(base, instead=instead)


def without_model(
    base: ListChoice, simple: Mapping[str, np.ndarray], activity: np.ndarray, deciding: np.ndarray, seed: int
) -> ListChoice:
    """The choice where no model is in charge: all known users get the best simple list of the choosing half, if it is
    significantly better than that of unknown users in the deciding half. simple: list -> NDCG of each user.

    With fewer than MIN_USERS known users there, but MIN_KNOWN in all, both halves choose: each judges the other's list,
    and all known users get the one that is best for all of them.
    """
    known = activity > 0
    halves = (known & ~deciding, known & deciding)
    if known.sum() < MIN_KNOWN or not all(half.any() for half in halves):
        return replace(base, instead={})
    best, asked = _best(simple, halves[0]), halves[1]
    served = simple[best]
    if asked.sum() < MIN_USERS:
        served = np.where(deciding, served, simple[_best(simple, halves[1])])
        best, asked = _best(simple, known), known
    better = best != base.popular and _is_better(served, simple[base.popular], asked, seed)
    return replace(base, instead={group: best for group in GROUPS if group != UNKNOWN} if better else {})


def _best(ndcg: Mapping[str, np.ndarray], users: np.ndarray) -> str:
    return max(ndcg, key=lambda window: round(float(ndcg[window][users].mean()), DECIMALS))


def _is_better(first: np.ndarray, second: np.ndarray, users: np.ndarray, seed: int) -> bool:
    if not users.any() or (first - second)[users].mean() <= 0:  # no interval around that lies above 0
        return False
    return relative_difference(first[users], second[users], seed).low > 0
