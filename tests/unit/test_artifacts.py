"""The artifact store: what a manifest names counts, and nothing else does."""

import hashlib
import json
import os
import pickle
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.object_store import Store
from recjobs.errors import BadConfiguration, DataRefused, ModelRefused, SystemAway

BATCH = "20240601T120000Z-1"


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(str(tmp_path / "artifacts"), "shop")


@pytest.fixture
def night(store):
    return store.night(BATCH)


def write(night, **texts):
    with night.writing("score") as files:
        for name, content in texts.items():
            files.save_text(name, content)


class Killed(Exception):
    """Stands for kill -9: the block ends, and nobody writes the manifest."""


def write_and_die(night, key, **texts):
    with night.writing("score", resume_key=key) as files:
        for name, content in texts.items():
            files.save_text(name, content)
            files.checkpoint()
        files.save_text("half", "ha")
        raise Killed


def killed_after(night, key, **texts):
    """A step that checkpoints each file and is then killed while it writes another."""
    with pytest.raises(Killed):
        write_and_die(night, key, **texts)


def path_of(night, name, step="score"):
    return Path(night.where(step, name))


def to_a_link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def test_everything_that_is_saved_comes_back(night):
    table = pa.table({"user_id": ["007", "NA", "ü"], "n": [1, 2, 3]})
    arrays = {"a": np.eye(2, dtype=np.float32), "b": np.arange(3)}
    with night.writing("score") as files:
        files.save_table("t.parquet", table)
        files.save_arrays("m.npz", **arrays)
        files.save_json("j.json", {"z": None, "a": [1, "ü"]})
        files.save_text("x.txt", "ü\n")
        files.save_text("empty.txt", "")
        assert files.read("x.txt") == "ü\n".encode()
    assert night.load_table("score", "t.parquet").equals(table)
    assert night.load_table("score", "t.parquet", ["n"]).column_names == ["n"]
    assert night.open_table("score", "t.parquet").read().equals(table)
    for name, array in night.load_arrays("score", "m.npz").items():
        np.testing.assert_array_equal(array, arrays[name])
    assert night.load_json("score", "j.json") == {"z": None, "a": [1, "ü"]}
    assert night.load_bytes("score", "empty.txt").to_pybytes() == b""


def test_files_lie_under_catalog_batch_and_step_with_their_hashes_in_the_manifest(night, tmp_path):
    write(night, x="abc")
    folder = tmp_path / "artifacts" / "shop" / BATCH / "score"
    assert {p.name for p in folder.iterdir()} == {"x", "manifest.json"}
    assert night.manifest("score") == {"x": hashlib.sha256(b"abc").hexdigest()}
    assert json.loads((folder / "manifest.json").read_text())["files"] == night.manifest("score")


def test_a_step_that_fails_half_way_leaves_nothing_that_counts(night):
    killed_after(night, None, x="abc")
    assert path_of(night, "x").exists()
    assert not night.is_done("score")
    with pytest.raises(ModelRefused, match="no finished 'score' step"):
        night.load_bytes("score", "x")


def test_a_file_the_manifest_does_not_name_does_not_count(night):
    write(night, x="abc")
    path_of(night, "y").write_text("smuggled")
    for look in (night.load_bytes, night.verified_path):
        with pytest.raises(ModelRefused, match="not named by its manifest"):
            look("score", "y")


@pytest.mark.parametrize("content", ["abd", "", "abcd"])
def test_a_changed_file_is_refused(night, content):
    write(night, x="abc")
    assert night.verified_path("score", "x") == str(path_of(night, "x"))
    path_of(night, "x").write_text(content)
    for look in (night.load_bytes, night.verified_path):
        with pytest.raises(ModelRefused, match="SHA-256 changed"):
            look("score", "x")


def test_a_file_that_is_gone_is_refused(night):
    write(night, x="abc")
    path_of(night, "x").unlink()
    for look in (night.load_bytes, night.verified_path):
        with pytest.raises(ModelRefused, match="is missing: run the 'score' step again"):
            look("score", "x")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"files": 3}'])
def test_a_damaged_manifest_is_refused(night, content):
    write(night, x="abc")
    path_of(night, "manifest.json").write_text(content)
    with pytest.raises(ModelRefused, match="is damaged"):
        night.manifest("score")


def test_a_step_written_again_holds_only_what_was_written_then(night):
    write(night, x="old", y="old")
    write(night, x="new")
    assert night.load_bytes("score", "x").to_pybytes() == b"new"
    assert not path_of(night, "y").exists()


def write_again(night, key=None, **texts):
    with night.writing("score", resume_key=key) as files:
        for name, content in texts.items():
            files.save_text(name, content)


def content_of(night):
    """All that counts of the step; None: it is not done."""
    if not night.is_done("score"):
        return None
    return {name: night.load_bytes("score", name).to_pybytes() for name in night.manifest("score")}


def calls_of(monkeypatch, act, die_at=None):
    """How many calls of the file system a function makes, or dies at: before it, or half way through a write."""
    n, real = 0, Store.__getattr__

    def counted(store, name):
        call = real(store, name)
        if name.startswith(("get_", "is_", "open_input")) or not callable(call):
            return call

        def called(*arguments, **options):
            nonlocal n
            n += 1
            if n == die_at:
                if name == "open_output_stream":
                    with call(*arguments, **options) as stream:
                        stream.write(b"ha")
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return called

    with monkeypatch.context() as patch:
        patch.setattr(Store, "__getattr__", counted)
        act()
    return n


def killed_at(monkeypatch, act, call):
    """Run a function in a process that is killed at a call of the file system."""
    child = os.fork()
    if not child:
        try:
            calls_of(monkeypatch, act, call)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def refused_again(night):
    with pytest.raises(DataRefused):
        write_and_refuse(night, "score")


OLD, NEW = {"x": "old", "y": "old"}, {"x": "new", "z": "new"}
AGAIN = {
    "other content": lambda night: write_again(night, **NEW),
    "the same content": lambda night: write_again(night, **OLD),
    "from a checkpoint": lambda night: write_again(night, "k", **NEW),
    "refused": lambda night: refused_again(night),
}


@pytest.mark.parametrize("again", AGAIN)
def test_a_finished_step_that_is_killed_while_it_is_written_again_is_the_earlier_or_the_new_one(
    store, monkeypatch, again
):
    """kill -9 at every single call of the file system, and once more in the next try."""

    def finished(k):
        night = store.night(f"20240601T120000Z-{k}")
        with night.writing("score", resume_key="k") as files:
            files.save_text("x", OLD["x"])
            files.checkpoint()
            files.save_text("y", OLD["y"])
        return night

    night = finished(1)
    before = content_of(night)
    n_calls = calls_of(monkeypatch, lambda: AGAIN[again](night))
    after = content_of(night)
    assert n_calls >= 3
    for k in range(1, n_calls + 1):
        night = finished(k + 1)
        killed_at(monkeypatch, lambda: AGAIN[again](night), k)  # noqa: B023
        assert content_of(night) in (before, after), f"killed at call {k} of {n_calls}"
        if k % 5 == 0:
            killed_at(monkeypatch, lambda: AGAIN[again](night), 2)  # noqa: B023
            assert content_of(night) in (before, after), f"killed at call {k} of {n_calls}, then at call 2"
        AGAIN[again](night)
        assert content_of(night) == after
        left = {path.name for path in path_of(night, ".").iterdir()}
        written = set(after or {"findings.json"}) | {"checkpoint.json", "manifest.json", "refused.json"}
        assert left <= written, "what a killed try has left is gone"


def test_a_step_that_is_written_again_counts_until_the_new_files_do(night):
    write(night, x="old", y="old")
    with night.writing("score") as files:
        files.save_text("x", "new")
        assert content_of(night) == {"x": b"old", "y": b"old"}
    assert content_of(night) == {"x": b"new"}
    assert {path.name for path in path_of(night, ".").iterdir()} == {"manifest.json", "x"}


@pytest.mark.parametrize("error", [Killed, ModelRefused, SystemAway])
def test_a_finished_step_stays_when_writing_it_again_fails(night, error):
    """A file that it needs is gone by now, or a system is away: that says nothing against what it wrote before."""
    write(night, x="old")

    def fail():
        with night.writing("score") as files:
            files.save_text("x", "new")
            raise error

    with pytest.raises(error):
        fail()
    assert content_of(night) == {"x": b"old"}


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_text("bad"), to_a_link], ids=["gone", "changed", "a link"]
)
def test_a_finished_step_whose_file_is_damaged_is_whole_once_it_is_written_again(night, damage):
    write(night, x="old")
    damage(path_of(night, "x"))
    write_again(night, x="old")
    assert content_of(night) == {"x": b"old"}
    assert path_of(night, "x").read_text() == "old"
    assert not path_of(night, "x").is_symlink()


@pytest.mark.parametrize("within", ["../../other", "/", "a/b", ".hidden"])
def test_a_manifest_that_leads_elsewhere_is_refused(night, within):
    write(night, x="old")
    manifest = path_of(night, "manifest.json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"within": within}))
    with pytest.raises(ModelRefused, match="which no step writes"):
        night.load_bytes("score", "x")


def resumed(night, key):
    with night.writing("score", resume_key=key) as files:
        return sorted(files.hashes)


def test_a_killed_step_goes_on_after_its_last_checkpoint(night):
    killed_after(night, "k", a="1", b="2")
    with night.writing("score", resume_key="k") as files:
        assert sorted(files.hashes) == ["a", "b"]
        files.save_text("c", "3")
    assert sorted(night.manifest("score")) == ["a", "b", "c"]
    assert night.load_bytes("score", "a").to_pybytes() == b"1"


def test_what_was_made_from_something_else_is_made_again(night):
    killed_after(night, "k", a="1")
    assert resumed(night, "another key") == []
    killed_after(night, "k", a="1")
    with night.writing("score") as files:
        assert files.hashes == {}
    assert not path_of(night, "a").exists()


def test_a_checkpointed_file_whose_bytes_changed_is_made_again(night):
    killed_after(night, "k", a="1", b="2")
    path_of(night, "a").write_text("x")
    assert resumed(night, "k") == ["b"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null"])
def test_a_damaged_checkpoint_is_no_checkpoint(night, content):
    killed_after(night, "k", a="1")
    path_of(night, "checkpoint.json").write_text(content)
    assert resumed(night, "k") == []


def test_json_without_sense_is_not_written(night):
    with pytest.raises(ValueError, match="not JSON compliant"), night.writing("score") as files:
        files.save_json("j", {"x": float("nan")})
    assert not night.is_done("score")


def write_and_refuse(night, step="validate"):
    with night.writing(step) as files:
        files.save_json("findings.json", {"counts": {}})
        raise DataRefused


def test_what_a_refused_step_wrote_may_be_read_and_the_step_is_not_done(night):
    write(night, x="before")
    with pytest.raises(DataRefused):
        write_and_refuse(night)
    assert not night.is_done("validate")
    with pytest.raises(ModelRefused, match="no finished 'validate' step"):
        night.load_json("validate", "findings.json")
    refused = night.with_refused()
    assert refused.is_done("validate")
    assert refused.load_json("validate", "findings.json") == {"counts": {}}
    assert refused.load_bytes("score", "x").to_pybytes() == b"before"


class Bomb:
    """What a pickle could do."""

    def __reduce__(self):
        return (Path("exploded").write_text, ("",))


@pytest.mark.parametrize("kind", ["pickle", "npz with a pickle", "npy with a pickle", "garbage", "empty"])
def test_a_pickle_in_the_place_of_arrays_is_refused_even_with_its_manifest(night, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    with night.writing("refit") as files, files.sink("model.npz") as sink:
        if kind == "pickle":
            sink.write(pickle.dumps(Bomb()))
        elif kind == "npz with a pickle":
            np.savez(sink, user_factors=np.array([Bomb()], object))
        elif kind == "npy with a pickle":
            np.save(sink, np.array([Bomb()], object))
        elif kind == "garbage":
            sink.write(b"PK\x03\x04 and no more")
    with pytest.raises(ModelRefused, match=r"model\.npz holds no plain arrays"):
        night.load_arrays("refit", "model.npz")
    assert not (tmp_path / "exploded").exists()


def test_nights_of_a_catalog_are_listed_and_do_not_see_each_other(store, night):
    assert store.nights() == []
    write(night, x="one")
    other = store.night("20240602T120000Z-1")
    write(other, x="two")
    assert [each.batch_id for each in store.nights()] == [BATCH, "20240602T120000Z-1"]
    assert night.load_bytes("score", "x").to_pybytes() == b"one"
    assert other.load_bytes("score", "x").to_pybytes() == b"two"
    assert other.batch_id == "20240602T120000Z-1"


def test_a_root_may_be_a_uri(tmp_path):
    night = ArtifactStore(f"file://{tmp_path}/there", "shop").night(BATCH)
    write(night, x="abc")
    assert (tmp_path / "there" / "shop" / BATCH / "score" / "x").read_text() == "abc"


def test_a_root_of_an_unknown_kind_names_its_setting():
    with pytest.raises(BadConfiguration, match="RECJOBS_ARTIFACTS=gopher://x"):
        ArtifactStore("gopher://x", "shop")
