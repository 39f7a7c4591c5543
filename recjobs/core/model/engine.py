"""The engine: the interface for fitting models, folding users in and ranking items.

The engine (a processor, a graphics card, a cluster) belongs to the catalog, not to the recipe: a model of another
engine is judged like the same recipe on fresh data. Every engine gives the same lists for the same factors.
"""

from dataclasses import dataclass, replace

import numpy as np

from recjobs.core.model import als, cuda
from recjobs.core.model.fold_in import FoldIn
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.ranking import Ranking
from recjobs.core.model.user_items import UserItems
from recjobs.core.recipe import Recipe


@dataclass(frozen=True)
class Engine:
    """Loops in C and BLAS on the processor, with this many threads; another engine has the same methods.

    gpu: fits on a graphics card what implicit's CUDA solver can compute. why_cpu: why gpu is not set, as `Fitted` says
    it. cluster: the solver that computes a fit on Spark; then there is no gpu.
    """

    threads: int = 1
    gpu: bool = False
    why_cpu: str = ""
    cluster: als.Alternation | None = None

    def fit(
        self,
        user_items: UserItems,
        recipe: Recipe,
        seed: int,
        start: als.Factors | None = None,
        watch: als.Watch | None = None,
    ) -> als.Fitted:
        """Alternate, see `als.fit`; without a start, from the fit of some users on the processor, which saves half of
        the iterations over many. What the card refuses, or gives up, is fit on the processor."""
        start = als.start_of_some(user_items, recipe, seed, self.threads) if start is None else start
        if self.cluster is not None:
            fitted = als.fit(user_items, recipe, seed, self.threads, start, watch, self.cluster)
            return replace(fitted, device="spark")
        why = cuda.refusal(recipe, user_items.shape) if self.gpu else self.why_cpu
        if self.gpu and why is None:
            try:
                fitted = als.fit(user_items, recipe, seed, self.threads, start, watch, cuda.alternate)
                return replace(fitted, device="gpu")
            except cuda.GpuFailed as error:
                why = f"the GPU gave up: {error}"
        return replace(als.fit(user_items, recipe, seed, self.threads, start, watch), why_cpu=why or "")

    def fold_in(self, item_factors: np.ndarray, recipe: Recipe) -> FoldIn:
        """One exact solve a user, see `FoldIn`."""
        return FoldIn(item_factors, recipe, self.threads)

    def ranking(self, item_factors: np.ndarray, eligible: np.ndarray, blend: Blend | None = None) -> Ranking:
        """Inner products in chunks of users, see `Ranking`."""
        return Ranking(item_factors, eligible, blend)
