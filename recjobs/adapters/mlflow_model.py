"""The model as MLflow loads it: this file is logged as code, the factors as a .npz beside it. No pickle anywhere.

It stands alone on purpose: MLflow copies it into the model, to be loaded where recjobs is not installed.
"""

import hashlib
from itertools import pairwise
from typing import Any

import mlflow
import numpy as np
import pandas as pd


class Recommender(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Top items of users by inner product; a user it does not know gets no rows.

    These are not the lists that are served, see `predict`.
    """

    def load_context(self, context: Any) -> None:
        """Read the factors. Raises ValueError if their hash is not the registered one."""
        with open(context.artifacts["factors"], "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != context.model_config["sha256"]:
            raise ValueError(f"the factors have SHA-256 {sha256}, registered was {context.model_config['sha256']}")
        with np.load(context.artifacts["factors"], allow_pickle=False) as arrays:
            self.user_factors, self.item_factors = arrays["user_factors"], arrays["item_factors"]
            self.user_ids = self._ids(arrays["user_ids"], arrays["user_offsets"])
            self.item_ids = self._ids(arrays["item_ids"], arrays["item_offsets"])
        self.row_of = {identifier: row for row, identifier in enumerate(self.user_ids)}

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The `n` (params, default 20) best items of each `user_id`: user_id, rank, item_id, score.

        By the factors of the fit alone, which is the first stage, and with the items that the user has seen
        (`seen_items`, which can be nothing but `included`: the model does not know them). The lists that are served
        leave those out, know the interactions since the fit, have item neighbours, new and popular items in them, and
        are ordered by the second stage where the recipe has one: ask Postgres for those (`recommend`).
        """
        asked: dict[str, Any] = {"n": 20, "seen_items": "included"} | (params or {})
        if asked["seen_items"] != "included":
            raise ValueError("seen_items can only be 'included': the lists without them are in Postgres (`recommend`)")
        n = int(asked["n"])
        known = self.item_factors.any(axis=1)
        rows = []
        for user_id in model_input["user_id"].astype(str):
            row = self.row_of.get(user_id)
            if row is None or not self.user_factors[row].any():
                continue
            scores = np.where(known, self.item_factors @ self.user_factors[row], -np.inf)
            best = np.argsort(-scores, kind="stable")[: min(n, int(known.sum()))]
            rows += [(user_id, rank, self.item_ids[i], float(scores[i])) for rank, i in enumerate(best, 1)]
        return pd.DataFrame(rows, columns=["user_id", "rank", "item_id", "score"])

    @staticmethod
    def _ids(blob: np.ndarray, offsets: np.ndarray) -> list[str]:
        raw = blob.tobytes()
        return [raw[first:last].decode() for first, last in pairwise(offsets)]


mlflow.models.set_model(Recommender())
