"""A night that goes on where BLAS has other routines: it says so, records it, and mixes no lists of two kernels."""

import json
import subprocess
import sys

import pytest

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.core.model.kernel import kernel
from recjobs.night.handovers import Handovers
from tests.commands import ROOT, Kill, environment_of
from tests.worlds import EARLIER, MakeWorld, World

pytestmark = pytest.mark.skipif("Haswell" in kernel(), reason="the other kernel of this test is this machine's")


def on_haswell(world: World, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "recjobs", *arguments, "--catalog", world.name, "--json"]
    environment = environment_of(world.settings) | {"OPENBLAS_CORETYPE": "Haswell"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_step_resumed_on_another_kernel_says_so_and_makes_every_list_anew(make_world: MakeWorld):
    world = make_world()
    checkpoint = Kill("recjobs.adapters.step_files:StepFiles.checkpoint", "after", ("/score",))
    killed = world.night("--as-of", EARLIER, kill=checkpoint)
    assert killed.code == -9
    (folder,) = (path for path in (world.artifacts / world.name).iterdir() if path.name[0].isdigit())
    request = json.loads((folder / "begin" / "request.json").read_text())
    assert request["kernel"] == kernel()
    written_down = json.loads((folder / "score" / "checkpoint.json").read_text())
    assert (written_down["kernel"], "top_n-00000.parquet" in written_down["files"]) == (kernel(), True)
    written = (folder / "score" / "top_n-00000.parquet").stat().st_mtime_ns

    resumed = on_haswell(world, "score", "--batch-id", folder.name)
    if resumed.returncode == 0 and "kernel" not in json.loads(resumed.stdout):
        pytest.skip("this processor has no Haswell kernel")
    assert resumed.returncode == 0, resumed.stderr
    other = json.loads(resumed.stdout)["kernel"]
    assert other.startswith("openblas Haswell, numpy ")
    said = f"step score of {folder.name} runs on {other}, and the night began on {kernel()}"
    assert said in resumed.stderr
    assert (folder / "score" / "top_n-00000.parquet").stat().st_mtime_ns > written
    ran_on = {step: json.loads((folder / step / "manifest.json").read_text())["kernel"] for step in ("train", "score")}
    assert ran_on == {"train": kernel(), "score": other}
    night = Handovers(ArtifactStore(str(world.artifacts), world.name).night(folder.name))
    assert night.kernels() == [kernel(), other]
