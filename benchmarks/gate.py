"""Does the gate know the difference? On online_retail, at a holdout of 30 days and at one of 7.

`make bench-gate`: twelve sabotaged candidates, the defect of each and how far from the limits it lies; ten honest
retrains (five by other seeds; five of a day more, on five dates) and how many are promoted; an A/A check of "better"
over all pairs of 21 fits that differ by their seed; and how often an improvement of 5% is seen that was planted into
such a fit, beside the smallest the report would state.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

from recjobs.catalog.files import load_catalog  # first: it limits BLAS to one thread
from recjobs.config import load_settings  # first: it limits BLAS to one thread

import numpy as np  # isort: skip

from benchmarks import looks  # isort: skip
from recjobs.catalog.file import Catalog  # isort: skip
from recjobs.core.model import als  # isort: skip
from recjobs.core.evaluation import integrity, metrics  # isort: skip
from recjobs.core.model.als import Factors  # isort: skip
from recjobs.core.evaluation.bootstrap import interval, relative_difference, resampled_means  # isort: skip
from recjobs.core.evaluation.exam import Answer, Exam, answer, exam  # isort: skip
from recjobs.core.lists.choice import ListChoice  # isort: skip
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past  # isort: skip
from recjobs.core.lists.popularity import DEFAULT_WINDOW, WINDOWS  # isort: skip
from recjobs.core.model.engine import Engine  # isort: skip
from recjobs.core.evaluation.gate import SEEN, SEGMENTS, Bounds, Shown, decide

from recjobs.core.evaluation.verdict import Verdict  # isort: skip
from recjobs.core.rows.interactions import DAY, Interactions  # isort: skip
from recjobs.core.model.stored import StoredModel  # isort: skip
from recjobs.core.lists.popularity import popularity  # isort: skip
from recjobs.core.recipe import Recipe  # isort: skip
from recjobs.core.evaluation.residual_check import Trace  # isort: skip

CATALOG = "online_retail"
HOLDOUT_DAYS = (30, 7)
SEEDS = range(1, 22)
PLANTED = 0.05
THREADS = os.cpu_count() or 1


@dataclass(frozen=True)
class Night:
    """One cut of the catalog's interactions, and what is asked after it."""

    catalog: Catalog
    train: Interactions
    holdout: Interactions
    now: int
    as_of: int

    @property
    def recipe(self) -> Recipe:
        """The catalog file's."""
        return self.catalog.recipe

    @cached_property
    def questions(self) -> Exam:
        """The deciding view."""
        return exam(self.train, self.holdout, "discovery", 7)

    @cached_property
    def popular(self) -> dict[str, Answer]:
        """The two popular lists."""
        return {name: self.asked(None, name) for name in WINDOWS}

    def fitted(self, seed: int, data: Interactions | None = None, now: int | None = None, **options: object) -> Factors:
        """The recipe's fit on the train part, or on other data."""
        data, now = data or self.train, now or self.now
        return als.fit(data.confidence(self.recipe, now), self.recipe, seed, THREADS, **options)  # type: ignore[arg-type]

    @cached_property
    def past(self) -> Past:
        """What all lists are made of."""
        return Past(self.train, self.now, Engine(THREADS))

    def asked(self, factors: Factors | None, name: str = DEFAULT_WINDOW) -> Answer:
        """What a model, or a popular list, would have served."""
        known, model = Knowledge.of_train(self.train), Model(factors.item_factors, self.recipe) if factors else None
        return answer(
            name, ListMaker(self.past, known, model, self.questions.kept_out, ListChoice(name)), self.questions
        )

    def shown(self, answered: Answer) -> Shown:
        """As the gate takes it."""
        popular = popularity(self.train)
        return Shown(answered.per_user["ndcg"], **metrics.of_lists(answered.lists, popular, popular > 0))

    def looked_at(self, model: StoredModel) -> tuple[str | None, list[float | None]]:
        """What `evaluate` says against a candidate; and the trace and its popular share where the ids are tonight's."""
        users, items = _ids(self.train)
        of_rows = integrity.defect_of_rows(model, users, items, self.train, self.recipe)
        if of_rows and (model.item_ids != items or model.factors.defect()):
            return of_rows, [None] * 5
        trace, defect = integrity.defect_of_fit(
            model.factors, self.train, self.holdout, self.recipe, now=self.now, as_of=self.as_of, seed=7
        )
        lists = [self.asked(model.factors).lists, *(popular.lists for popular in self.popular.values())]
        known = np.bincount(self.train.user_idx, minlength=self.train.n_users)[self.questions.users] > 0
        share = integrity.popular_share(lists[0][known], [part[known] for part in lists[1:]], self.train.n_items)
        return of_rows or integrity.defect_of_lists(share) or defect, [*trace.to_json().values(), share]

    def verdict(self, candidate: Factors, champion: Factors) -> Verdict:
        """What the gate makes of a retrain."""
        activity = np.bincount(self.train.user_idx, minlength=self.train.n_users)[self.questions.users]
        groups = ListChoice.from_activity(activity).groups(activity)
        bounds = self.catalog.gate.model_dump() | {"min_holdout_users": self.catalog.min_holdout_users}
        return decide(
            self.shown(self.asked(candidate)),
            self.shown(self.asked(champion)),
            {name: popular.per_user["ndcg"] for name, popular in self.popular.items()},
            same_recipe=True,
            segments={name: groups[name] for name in SEGMENTS},
            defect=self.looked_at(StoredModel(candidate, *_ids(self.train)))[0],
            bounds=Bounds(**{field.name: bounds[field.name] for field in fields(Bounds)}),
            seed=7,
        )


def main() -> None:
    """Print the four tables for each holdout."""
    load_settings()
    catalog, shop = load_catalog(CATALOG), looks.interactions_of(CATALOG)
    for days in HOLDOUT_DAYS:
        nights = [_night(catalog, shop, days, back) for back in range(5)]
        night = nights[0]
        models = [night.fitted(seed) for seed in SEEDS]
        print(f"\n## A holdout of {days} days: {len(night.questions.users):,} users")
        _print_sabotage(night, models[0])
        _print_retrains(nights, models)
        answers = [night.asked(model) for model in models]
        _print_equals(np.column_stack([one.per_user["ndcg"] for one in answers]))
        _print_planted(night, answers)


def _night(catalog: Catalog, shop: Interactions, days: int, back: int) -> Night:
    """The night `back` days before the last one, with a holdout of so many days."""
    as_of = int(shop.occurred_at.max()) + 1 - back * DAY
    cutoff = as_of - days * DAY
    at = shop.occurred_at
    return Night(catalog, shop.where(at < cutoff), shop.where((at >= cutoff) & (at < as_of)), cutoff, as_of)


def _ids(part: Interactions) -> tuple[list[str], list[str]]:
    return [f"u{n}" for n in range(part.n_users)], [f"i{n}" for n in range(part.n_items)]


def _sabotaged(night: Night, honest: Factors) -> Iterator[tuple[str, Callable[[], StoredModel]]]:
    rng = np.random.default_rng(5)
    users, items = honest.user_factors, honest.item_factors
    ids = _ids(night.train)

    def of(factors: Factors) -> StoredModel:
        return StoredModel(factors, *ids)

    def with_items(rows: np.ndarray) -> StoredModel:
        return of(Factors(users, rows.astype(np.float32)))

    everything = night.train.joined(night.holdout)
    then = night.now - 30 * DAY
    popular = popularity(night.train)[:, None] * np.eye(1, items.shape[1]) / 1000
    relabelled = replace(night.train, item_idx=rng.permutation(night.train.item_idx))
    drawn = [rng.normal(0, 0.1, rows.shape).astype(np.float32) for rows in (users, items)]
    known = [rows.any(axis=1, keepdims=True) for rows in (users, items)]

    def masked(factors: Factors) -> StoredModel:
        rows = (factors.user_factors, factors.item_factors)
        return of(Factors(*(np.where(mask, part, np.float32(0)) for mask, part in zip(known, rows, strict=True))))

    yield "shuffled factors", lambda: with_items(rng.permutation(items))
    yield "shuffled labels", lambda: masked(night.fitted(5, relabelled))
    yield "NaN", lambda: with_items(np.where(np.arange(items.size).reshape(items.shape) == 99, np.nan, items))
    yield "constant", lambda: with_items(known[1] * items.mean(axis=0))
    yield (
        "popularity in disguise",
        lambda: of(
            Factors(np.ascontiguousarray(known[0] * np.eye(1, items.shape[1]), np.float32), popular.astype(np.float32))
        ),
    )
    yield "trained on the holdout", lambda: masked(night.fitted(5, everything))
    yield "the same, as of its end", lambda: masked(night.fitted(5, everything, night.as_of))
    yield (
        "half the users missing",
        lambda: of(Factors(np.where(np.arange(len(users))[:, None] % 2, users, np.float32(0)), items)),
    )
    yield "stale, by 30 days", lambda: of(night.fitted(5, night.train.where(night.train.occurred_at < then), then))
    yield "another catalog's", lambda: StoredModel(honest, ids[0], [f"film {n}" for n in range(len(items))])
    yield "untrained", lambda: masked(Factors(*drawn))
    yield "swapped item map", lambda: StoredModel(honest, ids[0], ids[1][::-1])
    yield "one item only", lambda: with_items(np.where(np.arange(len(items))[:, None] == 7, items, 0))


def _print_sabotage(night: Night, honest: Factors) -> None:
    print(f"\n| candidate | {' | '.join(f.name for f in fields(Trace))} | popular | defect |")
    print(f"|---|{'---|' * 6}")
    for name, make in [("honest", lambda: StoredModel(honest, *_ids(night.train))), *_sabotaged(night, honest)]:
        defect, numbers = night.looked_at(make())
        cells = " | ".join("" if number is None else f"{number:.4f}" for number in numbers)
        let_through = "nothing" if name == "honest" else "NOTHING: it would be let through"
        print(f"| {name} | {cells} | {defect or let_through} |", flush=True)


def _print_retrains(nights: list[Night], models: list[Factors]) -> None:
    verdicts = [nights[0].verdict(candidate, models[0]) for candidate in models[1:6]]
    for seed, night in enumerate(nights, 31):
        yesterday = night.now - DAY
        older = night.fitted(seed, night.train.where(night.train.occurred_at < yesterday), yesterday)
        verdicts.append(night.verdict(night.fitted(seed, start=older), older))
    promoted = sum(verdict.promoted for verdict in verdicts)
    print(f"\nhonest retrains: {promoted} of {len(verdicts)} promoted")
    for verdict in verdicts:
        print(f"- {verdict.verdict}: {verdict.reason}", flush=True)


def _print_equals(ndcg: np.ndarray) -> None:
    """All ordered pairs of fits over the same resamples of the users, which is what pair by pair would give too."""
    means, n = resampled_means(ndcg, 7), ndcg.shape[1]
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
    intervals = [interval(0.0, means[:, a] / means[:, b] - 1) for a, b in pairs]
    better = sum(each.low > 0 for each in intervals)
    spread = ndcg.mean(axis=0).std(ddof=1) / ndcg.mean()
    width = np.mean([each.high - each.low for each in intervals]) / 2
    print(f"\nA/A: better in {better} of {len(pairs)} pairs of equal models ({better / len(pairs):.1%}); their means")
    print(
        f"differ by {spread:.2%} (standard deviation over seeds), a pair's interval is +-{width:.2%} wide", flush=True
    )


def _print_planted(night: Night, answers: list[Answer]) -> None:
    champion = answers[0].per_user["ndcg"]
    intervals = []
    for seed, other in enumerate(answers[1:]):
        intervals.append(relative_difference(_improved(night, other, seed), champion, 7))
    seen = sum(each.low > 0 for each in intervals)
    half = np.mean([each.value - each.low for each in intervals])
    print(f"planted +{PLANTED:.0%}: seen in {seen} of {len(intervals)}; the report states {SEEN * half:.1%} as the")
    print("smallest rise this holdout tells from none four times in five", flush=True)


def _improved(night: Night, original: Answer, seed: int) -> np.ndarray:
    """NDCG of each user after randomly chosen ones get one more hit, until the mean rose by PLANTED."""
    rng = np.random.default_rng(seed)
    lists, taken = original.lists.copy(), night.questions.holdout
    for row in range(len(lists)):
        missed = np.setdiff1d(taken.indices[taken.indptr[row] : taken.indptr[row + 1]], lists[row])
        if missed.size:
            lists[row, rng.integers(lists.shape[1])] = rng.choice(missed)
    before, after = original.per_user["ndcg"], metrics.per_user(lists, taken, lists.shape[1])["ndcg"]
    order = rng.permutation(len(before))
    gained = np.cumsum((after - before)[order])
    n = int(np.searchsorted(np.maximum.accumulate(gained), PLANTED * before.sum())) + 1
    result = before.copy()
    result[order[:n]] = after[order[:n]]
    return result


if __name__ == "__main__":
    main()
