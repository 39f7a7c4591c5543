"""The device that a night's models are fit on: a graphics card or the processor, as the catalog's `use_gpu` says."""

import logging
from typing import Literal

from recjobs.adapters import gpu
from recjobs.core.model import cuda
from recjobs.core.model.als import Fitted
from recjobs.core.model.engine import Engine
from recjobs.errors import BadConfiguration

UseGpu = Literal["auto", "never", "required"]

log = logging.getLogger(__name__)


def engine_of(use_gpu: UseGpu, threads: int) -> Engine:
    """Return the engine to fit with.

    `auto` warns of a card that cannot be used. Raises BadConfiguration if one is `required` and none can be used.
    """
    if use_gpu == "never":
        return Engine(threads, why_cpu="use_gpu: never")
    why = cuda.defect()
    if why is None:
        return Engine(threads, gpu=True)
    card = gpu.card()
    if use_gpu == "required":
        where = f"the GPU of this machine ({card}) cannot be used" if card else "this machine shows no GPU"
        raise BadConfiguration(
            f"use_gpu: required, and {where}: {why}. Run this step on a machine with a GPU, in the image "
            "recjobs-jobs-gpu or after `make install EXTRAS=gpu`, or set use_gpu: auto"
        )
    if card is None:
        return Engine(threads, why_cpu="no GPU")
    log.warning("there is a GPU (%s) that cannot be used: %s. Fitting on the processor (use_gpu: auto)", card, why)
    return Engine(threads, why_cpu=f"the GPU cannot be used: {why}")


def note_device(fitted: Fitted, of: str) -> dict[str, str]:
    """Log the device that a model was fit on, and return it as train.json has it."""
    reason = f" ({fitted.why_cpu})" if fitted.why_cpu else ""
    quiet = fitted.device == "gpu" or fitted.why_cpu in ("", "no GPU", "use_gpu: never")
    device = "Spark" if fitted.device == "spark" else f"the {fitted.device}"
    log.log(logging.INFO if quiet else logging.WARNING, "%s: fit on %s%s", of, device, reason)
    return {"device": fitted.device, "why_cpu": fitted.why_cpu}
