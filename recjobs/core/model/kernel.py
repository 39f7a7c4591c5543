"""The kernel: which of their routines BLAS and NumPy chose for this processor. Another one computes other last bits."""

from functools import cache

import numpy as np
from threadpoolctl import threadpool_info


@cache
def kernel() -> str:
    """The kernel of this process, such as `openblas SkylakeX, numpy X86_V4`.

    `OPENBLAS_CORETYPE` and `NPY_DISABLE_CPU_FEATURES` choose another, if they are set before NumPy is imported.
    """
    import scipy.linalg  # noqa: F401 - SciPy has a BLAS of its own, by which implicit fits

    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    blas = {f"{library['internal_api']} {library.get('architecture')}" for library in libraries}
    features = np.show_config(mode="dicts")["SIMD Extensions"]
    return ", ".join([*sorted(blas), f"numpy {[*features['baseline'], *features['found']][-1]}"])
