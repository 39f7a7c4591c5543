"""A ranker of candidates: gradient-boosted trees that learn an order from past windows (LightGBM).

Burges, "From RankNet to LambdaRank to LambdaMART", 2010; Ke et al., "LightGBM", NeurIPS 2017. No other module imports
LightGBM.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recjobs.errors import ModelUnreadable

TREES = 120
LAMBDARANK, BINARY = "lambdarank", "binary"
"""Objectives: the order of each user's candidates, or whether each candidate is taken (docs/decisions/0096)."""
PARAMETERS = {
    "lambdarank_truncation_level": 40,
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.7,
    "lambda_l2": 5.0,
    "max_bin": 127,
    # One thread, so that the same data and seed give the same text; several wait for each other on a busy machine.
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Ranker:
    """Trees as LightGBM writes them: plain text, without user or item ids."""

    text: str

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        labels: np.ndarray,
        groups: np.ndarray,
        names: Sequence[str],
        seed: int,
        objective: str = LAMBDARANK,
    ) -> "Ranker":
        """Learn from candidates: features (n, len(names)) float32, NaN: missing; labels (n,), 1: taken.

        groups: the number of candidates of each user, whose rows follow each other. objective: LAMBDARANK or BINARY.
        """
        import lightgbm

        parameters = {**PARAMETERS, "objective": objective, "seed": seed % 2**31}
        data = lightgbm.Dataset(features, labels, group=groups, feature_name=list(names), params=parameters)
        return cls(lightgbm.train(parameters, data, num_boost_round=TREES).model_to_string())

    @cached_property
    def _booster(self) -> Any:
        import lightgbm

        try:
            return lightgbm.Booster(model_str=self.text)
        except (lightgbm.basic.LightGBMError, ValueError) as error:
            raise ModelUnreadable(f"the model file holds no ranker: {error}") from None

    @property
    def names(self) -> list[str]:
        """The names of the features that it was trained on, in order."""
        return list(self._booster.feature_name())

    def scores(self, features: np.ndarray) -> np.ndarray:
        """The score of each row (n, features in the order of `names`), float64; computed by one thread.

        Of BINARY the log-odds: rounded probabilities would be equal where they are small.
        """
        if not len(features):
            return np.zeros(0)
        return np.asarray(self._booster.predict(features, num_threads=1, raw_score=True))

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """What each feature adds to the score of each row, (n, features in the order of `names`): TreeSHAP.

        Lundberg et al., Nature Machine Intelligence 2020.
        """
        # The last column is the mean score of the rows that it was trained on.
        return np.asarray(self._booster.predict(features, num_threads=1, pred_contrib=True))[:, :-1]

    def importance(self) -> dict[str, float]:
        """Each feature's share in what the splits gained, largest first."""
        gain = np.asarray(self._booster.feature_importance("gain"), np.float64)
        shares = gain / max(gain.sum(), np.finfo(np.float64).tiny)
        order = np.argsort(-shares, kind="stable")
        return {self.names[place]: round(float(shares[place]), 4) for place in order}
