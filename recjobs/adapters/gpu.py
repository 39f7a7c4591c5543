"""NVIDIA's driver: whether the machine has a card, and how busy it is while a model is fit."""

import ctypes
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

DRIVER = Path("/proc/driver/nvidia/gpus")
SAMPLE_SECONDS = 5.0


def card(driver: Path = DRIVER) -> str | None:
    """The machine's first card as `nvidia-smi` names it, or where else it shows; None without one.

    In a container that was not given the card, the driver's folder still shows it.
    """
    with suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "-L"]  # where the driver puts it
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout  # noqa: S603 - fixed
        if listed.startswith("GPU "):
            return listed.splitlines()[0].partition(" (UUID")[0]
    with suppress(OSError):
        if found := sorted(path.name for path in driver.iterdir()):
            return f"{driver}/{found[0]}"
    with suppress(OSError, AttributeError):
        library, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
        if library.cuInit(0) == 0 and library.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value:
            return f"{count.value} by the driver's library"
    return None


@contextmanager
def gauges(send: Callable[[str, float], None], every: float = SAMPLE_SECONDS) -> Iterator[None]:
    """Send gpu_utilization (percent), gpu_memory (bytes in use), gpu_temperature (degrees Celsius) and gpu_power
    (watts) of the busiest card during a block; nothing without a card or without NVIDIA's library (nvidia-ml-py)."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no library, no driver, or one of another version: none of it may fail a night
        yield
        return
    ended = threading.Event()

    def sample() -> None:
        while True:
            with suppress(pynvml.NVMLError):
                for name, value in _busiest(pynvml).items():
                    send(name, value)
            if ended.wait(every):
                return

    sampler = threading.Thread(target=sample, name="gpu gauges", daemon=True)
    sampler.start()
    try:
        yield
    finally:
        ended.set()
        sampler.join()
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _busiest(nvml: Any) -> dict[str, float]:
    cards = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    if not cards:
        return {}
    load = {index: nvml.nvmlDeviceGetUtilizationRates(card).gpu for index, card in enumerate(cards)}
    busiest = cards[max(load, key=load.__getitem__)]
    values = {"gpu_utilization": float(max(load.values()))}
    asked: dict[str, Callable[[], float]] = {
        "gpu_memory": lambda: float(nvml.nvmlDeviceGetMemoryInfo(busiest).used),
        "gpu_temperature": lambda: float(nvml.nvmlDeviceGetTemperature(busiest, nvml.NVML_TEMPERATURE_GPU)),
        "gpu_power": lambda: nvml.nvmlDeviceGetPowerUsage(busiest) / 1000,
    }
    for name, ask in asked.items():
        with suppress(nvml.NVMLError):  # not every card measures everything
            values[name] = ask()
    return values
