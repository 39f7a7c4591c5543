"""A model's file that somebody else put there: refused before anything of it is used, whatever its manifest says."""

import hashlib
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.commands import Kill
from tests.worlds import EARLIER, MakeWorld, World

Tamper = Callable[[Path], None]


class Sentinel:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "it was loaded"))


def a_byte(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def a_swap(model: Path) -> None:
    """Another file of the same night, sound in itself."""
    shutil.copy(model.parents[1] / "split" / "train.parquet", model)


def a_pickle(model: Path) -> None:
    model.write_bytes(pickle.dumps(Sentinel(sentinel(model))))


def a_pickle_inside(model: Path) -> None:
    np.savez(model, item_factors=np.array([Sentinel(sentinel(model))], object))


def a_symlink(model: Path) -> None:
    elsewhere = model.with_name("elsewhere")
    shutil.copy(model, elsewhere)
    model.unlink()
    model.symlink_to(elsewhere)


def a_name_that_leads_out(model: Path) -> None:
    rewritten(model, lambda name: f"../{name}")


def a_zip_bomb(model: Path) -> None:
    """A hundred megabytes of zeros in a hundredth of that."""
    with zipfile.ZipFile(model, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("item_factors.npy", "w") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))


def truncated(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-100])


def another_dtype(model: Path) -> None:
    changed(model, lambda array: array.astype(np.float64))


def another_shape(model: Path) -> None:
    changed(model, lambda array: array[:, :-1].copy())


def changed(model: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    with np.load(model, allow_pickle=False) as arrays:
        found = dict(arrays)
    np.savez(model, **(found | {"item_factors": change(found["item_factors"])}))


def rewritten(model: Path, rename: Callable[[str], str]) -> None:
    with zipfile.ZipFile(io.BytesIO(model.read_bytes())) as before, zipfile.ZipFile(model, "w") as after:
        for name in before.namelist():
            after.writestr(rename(name), before.read(name))


def sentinel(model: Path) -> Path:
    return model.with_name("sentinel")


TAMPERED: dict[Tamper, str] = {
    a_byte: "holds no plain arrays: Bad CRC-32",
    a_swap: "holds no plain arrays: File is not a zip file",
    a_pickle: "holds no plain arrays: File is not a zip file",
    a_pickle_inside: "is an array of object",
    a_symlink: "is a link, not the file that was written",
    a_name_that_leads_out: "is no name of an array",
    a_zip_bomb: "item_factors.npy is compressed, to 104857600 bytes",
    truncated: "holds no plain arrays: ",
    another_dtype: "is an array of float64",
    another_shape: "factors",
}
"""What is done to the file, and what is said where a new manifest vouches for it."""


@pytest.fixture(scope="module")
def trained(make_world: MakeWorld) -> World:
    """A world with a champion in charge and tonight's candidate trained."""
    world = make_world()
    world.publish("--as-of", EARLIER)
    assert world.night(kill=Kill("recjobs.steps.evaluate:run", "before")).code == -9
    return world


@pytest.fixture
def nights(trained: World, tmp_path: Path) -> Iterator[tuple[World, Path, Path]]:
    """That world, the folder of the champion's night and tonight's; both as they were, afterwards."""
    first, tonight = sorted(path for path in (trained.artifacts / trained.name).iterdir() if path.name[0] == "2")
    places = (first / "refit", tonight / "train")
    for place in places:
        shutil.copytree(place, tmp_path / place.name)
    yield trained, first / "refit" / "model.npz", tonight / "train" / "candidate.npz"
    for place in places:
        shutil.rmtree(place)
        shutil.copytree(tmp_path / place.name, place)


def sign(model: Path) -> None:
    """Let the manifest name the bytes that the file has now."""
    manifest = model.parent / "manifest.json"
    named = json.loads(manifest.read_text())
    named["files"][model.name] = hashlib.sha256(model.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(named))


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda tamper: tamper.__name__)
def test_a_champion_is_the_file_that_was_registered_or_none(nights: tuple[World, Path, Path], tamper: Tamper):
    world, model, candidate = nights
    before = world.everything()
    tamper(model)
    unsigned = world.recjobs("evaluate", "--batch-id", candidate.parents[1].name)
    assert unsigned.code == 65, unsigned.err
    assert ("SHA-256 changed" if tamper is not a_symlink else "is a link") in unsigned.message
    sign(model)
    signed = world.recjobs("evaluate", "--batch-id", candidate.parents[1].name)
    assert signed.code == 65, signed.err
    assert ("is not the model registered as version" if tamper is not a_symlink else "is a link") in signed.message
    assert not sentinel(model).exists()
    assert world.everything() == before


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda tamper: tamper.__name__)
def test_a_candidate_that_is_no_model_is_refused_though_its_manifest_names_it(
    nights: tuple[World, Path, Path], tamper: Tamper
):
    world, _, model = nights
    batch_id = model.parents[1].name
    tamper(model)
    unsigned = world.recjobs("evaluate", "--batch-id", batch_id)
    assert unsigned.code == 65, unsigned.err
    assert ("SHA-256 changed" if tamper is not a_symlink else "is a link") in unsigned.message
    sign(model)
    signed = world.recjobs("evaluate", "--batch-id", batch_id)
    if tamper is a_symlink:
        assert signed.code == 65
        said = signed.message
    else:
        assert signed.code == 0, signed.err
        said = json.loads(world.step(batch_id, "evaluate", "integrity.json").read_text())["defect"]
    assert TAMPERED[tamper] in said
    assert not sentinel(model).exists()


def test_the_sentinel_would_be_seen(tmp_path: Path):
    """A test of these tests: whoever unpickles the file leaves it."""
    model = tmp_path / "model.npz"
    for tamper in (a_pickle, a_pickle_inside):
        tamper(model)
        found = np.load(model, allow_pickle=True)
        if tamper is a_pickle_inside:
            found["item_factors"]
        assert sentinel(model).read_text() == "it was loaded"
        sentinel(model).unlink()
