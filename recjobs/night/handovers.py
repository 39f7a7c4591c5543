"""The files that the steps of a night hand over, each read by one typed method.

Each raises ModelRefused if the step has not finished, or the file is missing or was changed.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from recjobs import NIGHT
from recjobs.adapters.artifacts import NightFiles
from recjobs.adapters.step_files import StepFiles
from recjobs.core.evaluation.approval import Answer
from recjobs.core.evaluation.split import Cutoff
from recjobs.core.evaluation.verdict import Verdict
from recjobs.core.model.kernel import kernel
from recjobs.core.rows.drift import Profile
from recjobs.core.rows.interactions import Interactions

if TYPE_CHECKING:
    from recjobs.core.model.als import Factors
    from recjobs.core.model.ranker import Ranker
    from recjobs.core.model.stored import StoredModel

INPUTS = {
    "refit": ("begin", "validate", "split", "train", "evaluate", "gate"),
    "score": ("begin", "validate", "gate", "refit"),
}
"""The steps whose files decide whether a rerun of a step keeps its own, see `Handovers.key_of`."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True)


class InputAccount(_Stored):
    """The counts of rows by outcome, and the findings, each as `Finding.to_json`."""

    counts: dict[str, int]
    findings: list[dict[str, Any]]
    places: dict[str, dict[str, Any]] = {}
    """Of the items' and the users' own place, as `PlaceAccount.to_json`; none of nights of earlier releases."""


class Evaluation(_Stored):
    """metrics: rows as in the view `evaluations`; users: how many were evaluated, by view."""

    metrics: list[dict[str, Any]]
    users: dict[str, int]
    lists: dict[str, Any] = {}
    """The `ListChoice` of candidate and champion, and without a model."""


class ChosenModel(_Stored):
    """The model of the lists. source: `refit`, `champion` or `none` (popular lists only)."""

    verdict: str
    reason: str
    source: str
    model_version: str | None
    champion_version: str | None


class Inspection(_Stored):
    """The finished lists' checksum, count, count of filled ones, and measured values."""

    checksum: str
    users: int
    filled: int
    values: dict[str, float | None] = {}
    bands: dict[str, Any] = {}
    broken: dict[str, int] = {}
    outside: list[str] = []
    forced: str | None = None


@dataclass(frozen=True)
class Handovers:
    """The files of one night, finished or not."""

    files: NightFiles

    @property
    def batch_id(self) -> str:
        """The night's batch."""
        return self.files.batch_id

    def is_done(self, step: str) -> bool:
        """Whether a step has finished."""
        return self.files.is_done(step)

    def kernels(self) -> list[str]:
        """The kernels that the finished steps ran on, each once, in the steps' order."""
        found = (self.files.kernel(step) for step in NIGHT)
        return list(dict.fromkeys(kernel for kernel in found if kernel))

    def writing(self, step: str, *, resume_key: str | None = None) -> AbstractContextManager[StepFiles]:
        """The files of the step that runs; see `NightFiles.writing`."""
        return self.files.writing(step, resume_key=resume_key)

    def key_of(self, *steps: str) -> str:
        """A hash of what these steps have left, and of the kernel: what was made of it there need not be made again."""
        inputs = [kernel(), *(self.files.manifest(step) for step in steps)]
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()

    def stored_request(self) -> dict[str, Any]:
        """The request as JSON; an older version may have stored one that is no valid `Request`."""
        return self.files.load_json("begin", "request.json")

    def extracted_sources(self) -> list[dict[str, Any]]:
        """Per source its `files`, the number of rows `read`, and those `excluded` by rule."""
        sources: list[dict[str, Any]] = self.files.load_json("extract", "extract.json")["sources"]
        return sources

    def described_rows(self, of: Literal["users", "items"]) -> pa.Table:
        """The rows of the catalog's own file of users or items, unchanged."""
        return self.files.load_table("extract", f"{of}.parquet")

    def interactions(self) -> Interactions:
        """All accepted interactions."""
        return self._interactions("validate", "interactions.parquet")

    def users(self) -> pa.Table:
        """A row per user, by index: id and attributes."""
        return self.files.load_table("validate", "users.parquet")

    def items(self, columns: list[str] | None = None) -> pa.Table:
        """A row per item, by index: id and attributes."""
        return self.files.load_table("validate", "items.parquet", columns)

    def ids(self, of: Literal["users", "items"]) -> list[str]:
        """User or item ids, by index."""
        return list(self.files.load_table("validate", f"{of}.parquet", [f"{of[:-1]}_id"]).column(0).to_pylist())

    def rejected_rows(self) -> pa.Table:
        """The quarantined rows: source, row, reason, and the raw values as text."""
        return self.files.load_table("validate", "rejected.parquet")

    def input_account(self) -> InputAccount:
        """The counts and findings of validation."""
        return InputAccount.model_validate(self.files.load_json("validate", "findings.json"))

    def profile(self) -> Profile:
        """The profile of the newest rows, without its active users."""
        stored = self.files.load_json("validate", "profile.json")
        items = self.files.load_table("validate", "profile_items.parquet")
        user_ids = self.users()["user_id"].combine_chunks()
        return Profile(stored["n"], stored["histograms"], items, user_ids, pa.array([], pa.string()))

    def drift(self) -> dict[str, Any]:
        """`compared_with`: the earlier batch or None; `features`: the drift of each, as `FeatureDrift.to_json`."""
        return self.files.load_json("validate", "drift.json")

    def train(self) -> Interactions:
        """The interactions before the cutoff."""
        return self._interactions("split", "train.parquet")

    def holdout(self) -> Interactions:
        """The interactions from the cutoff on."""
        return self._interactions("split", "holdout.parquet")

    def cutoff(self) -> Cutoff:
        """The cutoff, with the rule that chose it."""
        stored = self.files.load_json("split", "cutoff.json")
        return Cutoff(datetime.fromisoformat(stored["at"]), stored["rule"], stored["why"])

    def candidate(self) -> "StoredModel":
        """The candidate. Raises ModelUnreadable if the file holds no model."""
        return self._model("train", "candidate.npz")

    def champion_recipe_fit(self) -> "tuple[Factors, Ranker | None]":
        """Factors and second stage of the champion's recipe fit on the train part; written if the champion has seen the
        holdout."""
        from recjobs.core.model.als import Factors
        from recjobs.core.model.stored import ranker_of

        arrays = self.files.load_arrays("train", "champion_recipe.npz")
        return Factors(arrays["user_factors"], arrays["item_factors"]), ranker_of(arrays)

    def training(self) -> dict[str, Any]:
        """`recipe`, `warm` (started from the champion's factors), `iterations`, `interactions`; `second_stage` as
        `Trained.to_json` if the recipe has one."""
        return self.files.load_json("train", "train.json")

    def evaluation(self) -> Evaluation:
        """The metrics of all models on the holdout."""
        return Evaluation.model_validate(self.files.load_json("evaluate", "evaluation.json"))

    def worth(self) -> dict[str, Any]:
        """What the live batch's lists were worth, as `measure_worth` returns it; empty if that was not measured."""
        if "worth.json" not in self.files.manifest("evaluate"):  # of a night of an older version
            return {}
        return self.files.load_json("evaluate", "worth.json")

    def goods(self) -> list[dict[str, Any]]:
        """What lists of items are worth, as `together_rows` returns it; empty for a night of an older version."""
        if "goods.json" not in self.files.manifest("evaluate"):
            return []
        rows: list[dict[str, Any]] = self.files.load_json("evaluate", "goods.json")["rows"]
        return rows

    def prices(self) -> list[dict[str, Any]]:
        """What each setting of lists costs, as `price_rows` returns it; empty for a catalog without such a setting."""
        if "prices.json" not in self.files.manifest("evaluate"):
            return []
        rows: list[dict[str, Any]] = self.files.load_json("evaluate", "prices.json")["rows"]
        return rows

    def user_metrics(self, view: str) -> pa.Table:
        """A row per holdout user: `<model>.<metric>`, and `is_<segment>`."""
        return self.files.load_table("evaluate", f"{view}.parquet")

    def holdout_lists(self) -> pa.Table:
        """The list of each holdout user by each model, as `kept_lists` returns them."""
        return self.files.load_table("evaluate", "lists.parquet")

    def unfiltered_lists(self) -> pa.Table | None:
        """The candidate's lists with nothing but returned items left out, as `whole_lists` returns them; None if the
        evaluation has not kept them."""
        if "unfiltered.parquet" not in self.files.manifest("evaluate"):
            return None
        return self.files.load_table("evaluate", "unfiltered.parquet")

    def candidate_defect(self) -> str | None:
        """Why the candidate's factors are invalid, if they are."""
        defect: str | None = self.files.load_json("evaluate", "integrity.json")["defect"]
        return defect

    def gate_verdict(self) -> Verdict:
        """The verdict of the gate, without an approval."""
        return Verdict.from_json(self.files.load_json("gate", "verdict.json"))

    def answer(self) -> Answer | None:
        """The answer to an inconclusive verdict, if there is one."""
        return Answer(**self.files.load_json("approve", "answer.json")) if self.is_done("approve") else None

    def later_attempt(self) -> str:
        """The night that began again in place of this one, which was overtaken before it was published."""
        return str(self.files.load_json("again", "again.json")["batch_id"])

    def chosen_model(self) -> ChosenModel:
        """The model of the lists."""
        return ChosenModel.model_validate(self.files.load_json("refit", "model.json"))

    def refit_model(self) -> "StoredModel":
        """The model fit on everything; written if the candidate was promoted."""
        return self._model("refit", "model.npz")

    def neighbours(self) -> pa.Table | None:
        """Item neighbours of the refit's recipe by all interactions, as `neighbours.as_table` returns them; None if the
        refit has not kept them."""
        if "neighbours.parquet" not in self.files.manifest("refit"):
            return None
        return self.files.load_table("refit", "neighbours.parquet")

    def list_chunks(self) -> Iterator[pq.ParquetFile]:
        """The finished lists in chunks, a row per user, as in the table top_n."""
        for name in sorted(self.files.manifest("score")):
            if name.startswith("top_n-"):
                yield self.files.open_table("score", name)

    def shown_chunks(self) -> Iterator[pq.ParquetFile]:
        """What the lists' items had been shown before, as `exposure.shown_table` returns it; none without rotation."""
        for name in sorted(self.files.manifest("score")):
            if name.startswith("shown-"):
                yield self.files.open_table("score", name)

    def scored(self, of: Literal["similar", "popular", "items", "history"]) -> pq.ParquetFile:
        """Similar items, popular lists, items, or users' latest interactions, as published."""
        return self.files.open_table("score", f"{of}.parquet")

    def inspection(self) -> Inspection:
        """The result of inspecting the finished lists."""
        return Inspection.model_validate(self.files.load_json("inspect", "inspection.json"))

    def exposure(self) -> pa.Table:
        """In how many lists each item is."""
        return self.files.load_table("inspect", "exposure.parquet")

    def _interactions(self, step: str, name: str) -> Interactions:
        file = pq.ParquetFile(pa.BufferReader(self.files.load_bytes(step, name)))
        return Interactions.from_columns(lambda column: file.read([column])[column], file.schema_arrow)

    def _model(self, step: str, name: str) -> "StoredModel":
        from recjobs.core.model.stored import StoredModel

        return StoredModel.from_arrays(self.files.load_arrays(step, name))
