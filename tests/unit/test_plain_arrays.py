"""Arrays from files that somebody else may have made: the honest ones come back, of the others nothing is read."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from recjobs.core.model import npz
from recjobs.errors import ModelUnreadable

HONEST = {
    "user_factors": np.arange(6, dtype=np.float32).reshape(3, 2),
    "item_factors": np.zeros((0, 2), np.float32),
    "user_ids": np.frombuffer(b"abc", np.uint8),
    "user_offsets": np.array([0, 1, 3], np.int64),
}


def saved(compressed=False, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def zipped(members, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def npy(header, data=b"\0" * 16, version=b"\x01\x00"):
    padded = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(padded)) + padded + data


def one(header, **parts):
    return zipped([("a.npy", npy(header, **parts))])


def link():
    made = zipfile.ZipInfo("a.npy")
    made.create_system, made.external_attr = 3, 0o120777 << 16
    return zipped([(made, "/etc/passwd")])


def read(content):
    return npz.read(io.BytesIO(content), "there/model.npz")


def test_what_numpy_saved_comes_back_and_may_be_written_to():
    found = read(saved(**HONEST))
    assert list(found) == list(HONEST)
    for name, array in HONEST.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)
    found["user_factors"][0, 0] = 5


class Bomb:
    """What a pickle could do."""

    def __reduce__(self):
        return (Path("exploded").write_text, ("",))


FLOATS = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"
REFUSED = {
    "a pickle": (pickle.dumps(Bomb()), "not a zip file"),
    "a pickle inside": (saved(a=np.array([Bomb()], object)), "an array of object"),
    "an object header": (one(FLOATS.replace("<f4", "|O")), "an array of object"),
    "code for a header": (one("__import__('os').system('touch exploded')"), "malformed"),
    "nothing": (b"", "not a zip file"),
    "no arrays": (zipped([]), "0 names"),
    "truncated": (saved(**HONEST)[:-40], "zip"),
    "a path": (zipped([("../a.npy", npy(FLOATS))]), "'../a.npy' is no name of an array"),
    "an absolute path": (zipped([("/tmp/a.npy", npy(FLOATS))]), "is no name of an array"),
    "no .npy": (zipped([("a.pkl", b"x")]), "is no name of an array"),
    "a link": (link(), "is no plain file"),
    "compressed": (saved(compressed=True, a=np.zeros(1 << 20, np.float32)), "is compressed, to 4194432 bytes"),
    "many names": (zipped([(f"a{n}.npy", npy(FLOATS)) for n in range(40)]), "40 names"),
    "doubles": (saved(a=np.zeros(3)), "an array of float64"),
    "big-endian": (saved(a=np.zeros(3, ">f4")), "an array of >f4"),
    "by columns": (saved(a=np.zeros((3, 2), np.float32, order="F")), "an array of float32"),
    "a shape beyond its bytes": (one(FLOATS.replace("(2, 2)", "(2000000000, 2000000000)")), "has 16 bytes for"),
    "a shape below its bytes": (one(FLOATS.replace("(2, 2)", "(1, 2)")), "has 16 bytes for"),
    "a negative shape": (one(FLOATS.replace("(2, 2)", "(-2, -2)")), "an array of float32"),
    "another version": (one(FLOATS, version=b"\x02\x00"), "another version"),
    "no array": (zipped([("a.npy", b"hello, world")]), "magic"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", REFUSED)
def test_anything_else_is_refused_by_what_it_is(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    content, words = REFUSED[kind]
    with pytest.raises(ModelUnreadable, match=r"there/model\.npz holds no plain arrays: ") as refused:
        read(content)
    assert words in str(refused.value)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_is_refused():
    with pytest.raises(ModelUnreadable, match="2 names, 1 of them different"):
        read(zipped([("a.npy", npy(FLOATS))] * 2))


def test_a_byte_that_changed_inside_an_array_is_refused_by_its_checksum():
    content = bytearray(one(FLOATS))
    content[content.index(b"\n", content.index(b"NUMPY")) + 3] ^= 1
    with pytest.raises(ModelUnreadable, match="CRC"):
        read(bytes(content))


def test_what_is_said_to_be_large_is_not_made_room_for():
    """The central directory promises a gigabyte that is not there."""
    content = bytearray(one(FLOATS))
    at = content.index(b"PK\x01\x02")
    content[at + 20 : at + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    with pytest.raises(ModelUnreadable, match="more bytes in it than its own"):
        read(bytes(content))
