"""implicit's CUDA solver: the alternation of `als` on a graphics card, in single precision.

implicit turns CUDA off without an error if a library is missing, and its wheel has none of them. They come with
requirements-gpu.txt, in folders where the linker does not look.
"""

import importlib
import re
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import implicit.gpu
import implicit.gpu.als
import numpy as np

from recjobs.core.model.als import weighted_by
from recjobs.core.model.user_items import UserItems, whole
from recjobs.core.recipe import Recipe

LIBRARIES = ("cudart", "cublasLt", "cublas", "curand")
"""What implicit's CUDA module is linked to, besides rmm's, in the order of their dependencies."""
_WARP = 32
_MOST = 2**31 - 1


class GpuFailed(Exception):
    """The card gave up in the middle of a fit, such as for want of memory. The message is CUDA's."""


@cache
def defect() -> str | None:
    """Why implicit cannot compute on a graphics card here, or None. Loads CUDA's libraries, at the first call."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

            for name in LIBRARIES:
                load_nvidia_dynamic_lib(name)
        except ImportError:
            pass  # a machine may have the libraries where the linker finds them
        except DynamicLibNotFoundError as error:
            return f"a library of CUDA is missing: {str(error).splitlines()[0]}"
        if not implicit.gpu.HAS_CUDA:
            importlib.reload(implicit.gpu)  # with the libraries: it found none when it was imported
    if implicit.gpu.HAS_CUDA:
        return None
    if not implicit.gpu.HAS_RMM:
        return "rmm is not installed; `make install EXTRAS=gpu` does that"
    texts = [str(warning.message) for warning in said]
    return re.sub(r".*because of '(.*)'", r"\1", texts[-1], flags=re.DOTALL) if texts else "implicit gives no reason"


def refusal(recipe: Recipe, shape: tuple[int, int]) -> str | None:
    """Why the solver cannot compute a recipe for so many users and items, or None."""
    if recipe.frequency_scaling:
        return "frequency_scaling gives rows a regularization of their own, and the CUDA solver has one for all"
    if max(shape) * _width(recipe) > _MOST:
        return f"{max(shape):,} rows of {recipe.factors} factors are more than the CUDA solver's 32-bit indices reach"
    return None


def alternate(
    user_items: UserItems, users: np.ndarray, items: np.ndarray, recipe: Recipe, _threads: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Alternate as `als.alternate` does, on the card. Raises GpuFailed.

    The solver works in warps of 32 threads, a thread for each factor. Columns of zeros up to the next 32 stay zeros:
    the gradient has none there.
    """
    gpu: Any = implicit.gpu
    try:
        model = gpu.als.AlternatingLeastSquares(_width(recipe), regularization=recipe.regularization)
        solver, steps = model.solver, model.cg_steps
        weighted = weighted_by(recipe, whole(user_items))
        of_users, of_items = gpu.CSRMatrix(weighted), gpu.CSRMatrix(weighted.T.tocsr())
        user_factors, item_factors = (gpu.Matrix(_padded(rows, _width(recipe))) for rows in (users, items))
        squared = gpu.Matrix.zeros(_width(recipe), _width(recipe))
        while True:
            for matrix, solved, fixed in (
                (of_users, user_factors, item_factors),
                (of_items, item_factors, user_factors),
            ):
                solver.calculate_yty(fixed, squared, recipe.regularization)
                solver.least_squares(matrix, solved, squared, fixed, steps)
            found = user_factors.to_numpy()[:, : recipe.factors], item_factors.to_numpy()[:, : recipe.factors]
            yield found
    except (MemoryError, RuntimeError) as error:
        raise GpuFailed(str(error) or type(error).__name__) from error


def _width(recipe: Recipe) -> int:
    return -(-recipe.factors // _WARP) * _WARP


def _padded(rows: np.ndarray, width: int) -> np.ndarray:
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, width - rows.shape[1]))), np.float32)
