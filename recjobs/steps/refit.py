"""Fit the promoted recipe on everything, starting from the candidate, and check it; or keep the champion's model. If
there is neither, tonight's lists are the popular ones."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from recjobs.adapters import mlflow_import
from recjobs.core.evaluation.exam import K, exam
from recjobs.core.evaluation.metrics import per_user
from recjobs.core.evaluation.refit import defect_of_refit
from recjobs.core.evaluation.side_by_side import lists_of
from recjobs.core.lists.maker import ListMaker, Model, Past
from recjobs.core.model import als
from recjobs.core.model.kernel import kernel
from recjobs.core.model.neighbours import as_table
from recjobs.core.model.ranking import overlap_at
from recjobs.core.model.stored import StoredModel
from recjobs.core.rows.by_blocks import activity_of
from recjobs.core.rows.instants import microseconds
from recjobs.errors import Defect
from recjobs.night.devices import note_device
from recjobs.night.handovers import INPUTS
from recjobs.night.night import Night, database, registered_version, registry
from recjobs.night.spark_pairs import user_items_of
from recjobs.night.stored import stored_rows

ROWS = "validate", "interactions.parquet"


def run(night: Night) -> dict[str, Any]:
    """Write and register the model of tonight's lists: a version, not yet the champion."""
    verdict = night.verdict()
    champion = night.request.champion
    refused = None if verdict.promoted else verdict.reason

    # A fit with several threads would differ in its last bits: a rerun keeps the model that may be in charge by now.
    key = night.key_of(*INPUTS["refit"])
    with night.writing("refit", resume_key=key) as files, ThreadPoolExecutor(1) as beside:
        preparing = beside.submit(mlflow_import.load, registry(night.catalog).uri) if refused is None else None
        version = champion.model_version if champion else None
        if refused is None and "model.npz" not in files.hashes:
            # The second stage is the candidate's: what the gate judged orders lists by what is known tonight.
            candidate = night.candidate()
            rows = stored_rows(night, *ROWS)
            with user_items_of(night, *ROWS, rows, night.now) as user_items:
                past = Past(rows, night.now, night.engine, user_items)
                factors, defect = _refit(night, past, candidate.factors)
                if defect:
                    refused = f"the refit was refused: {defect}"
                else:
                    model = StoredModel(factors, night.ids("users"), night.ids("items"), candidate.ranker)
                    files.save_arrays("model.npz", **model.to_arrays())
                    if night.catalog.recipe.blend:  # the check has made them, and `score` needs the same
                        files.save_table("neighbours.parquet", as_table(past.similarity(night.catalog.recipe)))
                    files.checkpoint()
        if preparing is not None:
            preparing.result()
        if refused is None:
            version = _register(night, files.hashes["model.npz"], files.read("model.npz"))
        source = "none" if version is None else "refit" if refused is None else "champion"
        summary = {
            "verdict": "promoted" if refused is None else "refused",
            "reason": verdict.reason if refused is None else refused,
            "source": source,
            "model_version": version,
            "champion_version": version,
        }
        files.save_json("model.json", summary)
    return {"verdict": summary["verdict"], "model_version": version, "lists_from": source}


def _refit(night: Night, past: Past, candidate: als.Factors) -> tuple[als.Factors, str | None]:
    """The factors, and their defect, which lists without the second stage show.

    They are compared for the holdout's users whom the candidate knows: the others had a popular list before.
    """
    recipe, seed, engine = night.catalog.recipe, night.request.seed, night.engine
    factors = night.fitting_engine().fit(past.confidence(recipe), recipe, seed, start=candidate)
    note_device(factors, "the refit")
    if defect := factors.defect():
        return factors, defect

    train = stored_rows(night, "split", "train.parquet")
    everybody = exam(train, night.holdout(), "repeats", seed)
    is_known = activity_of(train)[everybody.users] > 0
    questions = everybody.rows(np.flatnonzero(is_known))

    def lists_from(of: Past, item_factors: np.ndarray) -> np.ndarray:
        known = night.known_at_cutoff(of.rows).of_everybody  # who is inactive differs between the two
        maker = ListMaker(of, known, Model(item_factors, recipe), questions.kept_out)
        return maker.lists(questions.users, K).ranked.item_idx

    kept = night.unfiltered_lists()  # None of a candidate with a second stage, or of an older version's evaluation
    before = None if kept is None else lists_of(kept, everybody.users, K)
    if before is not None:
        before = before[is_known]
    else:
        before = lists_from(Past(train, microseconds(night.cutoff().at), engine), candidate.item_factors)
    del train, kept
    lists = (before, lists_from(past, factors.item_factors))
    champion = night.aligned_champion().item_factors if night.request.champion else None
    return factors, defect_of_refit(
        factors,
        champion,
        ndcg_refit=per_user(lists[1], questions.holdout, K)["ndcg"],
        ndcg_candidate=per_user(lists[0], questions.holdout, K)["ndcg"],
        overlap=overlap_at(*lists),
        min_overlap=night.catalog.gate.min_overlap_after_refit,
        seed=seed,
    )


def _register(night: Night, sha256: str, content: bytes) -> str:
    """Register a model in MLflow and in Postgres, whose version may be another than MLflow's number; return that."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise Defect(f"the model to register does not have the SHA-256 {sha256}")
    runs = registry(night.catalog)
    tags = {"input_hash": night.request.input["hash"], "code_version": night.request.code_version, "kernel": kernel()}
    run_id = night.log(runs, metrics=False)
    number = runs.register(run_id, night.request.batch_id, content, sha256, tags)
    night.log(runs)
    with database(night.catalog, "publisher").connect() as session:
        version = registered_version(session, night.refit_pin(number, sha256))
    runs.note(number, version)
    return version
