"""A night where the catalog says which device to fit on: without a card, and with one that cannot be used."""

import json
import os
from pathlib import Path

import pytest

from recjobs.core.model import cuda
from tests.worlds import MakeWorld

pytestmark = pytest.mark.skipif(cuda.defect() is None, reason="this machine has a GPU")


def test_required_without_a_card_is_exit_78_and_auto_goes_on_where_the_night_stopped(
    make_world: MakeWorld, tmp_path: Path
):
    world = make_world(use_gpu="required")
    done = world.night()
    assert done.code == 78, done.err
    assert "use_gpu: required, and this machine shows no GPU" in done.message
    assert world.live() is None

    world.write_catalog(world.catalog | {"use_gpu": "auto"})
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A10G (UUID: GPU-1)'\n")
    program.chmod(0o755)
    done = world.night(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.code == 0, done.err
    assert "there is a GPU (GPU 0: NVIDIA A10G) that cannot be used" in done.err
    fitted = json.loads(world.step(str(world.live()), "train", "train.json").read_text())
    assert fitted["device"] == "cpu"
    assert fitted["why_cpu"].startswith("the GPU cannot be used: ")
    assert "use_gpu" not in fitted["recipe"]
