"""Back-ups that RECJOBS_BACKUP_KEY encrypts: nothing can be read or changed, and a key that is missing is named."""

import json
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.backup_cipher import decrypted, encrypted, key_id, keys_of
from recjobs.adapters.backup_files import BackupPlace
from recjobs.adapters.migrations import migrate_catalog
from recjobs.adapters.postgres import Database
from recjobs.errors import BadConfiguration, DataRefused
from tests.batches import publish
from tests.integration.test_backup import files_of, lose, recjobs, state_of, world_in_its_own_database
from tests.worlds import Postgres

KEY, OTHER = "0123456789abcdef" * 4, "f" * 64
NOW = datetime(2025, 3, 1, tzinfo=UTC)
MEBIBYTE = 1 << 20
PERSON = b"a-person-that-nobody-may-read"


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    for first in range(0, len(content), size):
        yield content[first : first + size]


@pytest.mark.parametrize("n_bytes", [0, 1, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1, 2 * MEBIBYTE, 2 * MEBIBYTE + 7])
def test_what_is_decrypted_is_what_was_encrypted_however_it_is_cut(n_bytes: int):
    [key], content = keys_of(KEY), secrets.token_bytes(n_bytes)
    for size in (1 << 16, MEBIBYTE, 3 * MEBIBYTE):
        stored = b"".join(encrypted(pieces(content, size), key, "a/b"))
        assert len(stored) == 32 + n_bytes + 16 * max(1, -(-n_bytes // MEBIBYTE))
        for read in (999, MEBIBYTE, 4 * MEBIBYTE) if n_bytes < MEBIBYTE else (MEBIBYTE - 1, 4 * MEBIBYTE):
            assert b"".join(decrypted(pieces(stored, read), key, "a/b")) == content


def test_nothing_can_be_changed_cut_swapped_or_read_with_another_key():
    [key], content = keys_of(KEY), secrets.token_bytes(2 * MEBIBYTE + 7)
    stored = b"".join(encrypted([content], key, "a/b"))
    chunk = MEBIBYTE + 16
    first, second, last = (stored[32 + n * chunk : 32 + (n + 1) * chunk] for n in range(3))
    salt = stored[:32]
    broken = {
        "a byte of the salt": bytes([stored[0] ^ 1]) + stored[1:],
        "a byte of a chunk": stored[:99] + bytes([stored[99] ^ 1]) + stored[100:],
        "no last chunk": salt + first + second,
        "only the last chunk": salt + last,
        "two chunks swapped": salt + second + first + last,
        "a chunk twice": salt + first + first + second + last,
        "something behind it": stored + b"\0",
        "nothing": b"",
        "half a salt": salt[:16],
    }
    for what, text in broken.items():
        with pytest.raises(DataRefused, match="a/b"):
            assert b"".join(decrypted([text], key, "a/b")), what
    for other, name in ((keys_of(OTHER)[0], "a/b"), (key, "a/c")):
        with pytest.raises(DataRefused):
            list(decrypted([stored], other, name))
    again = b"".join(encrypted([content], key, "a/b"))
    assert again[:64] != stored[:64], "the same twice is not the same"


@pytest.mark.parametrize("setting", ["abc", f"{KEY},abc", KEY.upper(), KEY[:-1], f"{KEY}0"])
def test_a_key_that_is_none_is_refused_without_being_shown(setting: str):
    with pytest.raises(BadConfiguration, match="RECJOBS_BACKUP_KEY must be of 64 digits") as refused:
        keys_of(setting)
    assert setting not in str(refused.value)


def test_the_files_tell_nothing_and_the_manifest_names_the_key(tmp_path: Path):
    place = BackupPlace(str(tmp_path), keys_of(KEY))
    files = place.new(NOW)
    files.write("recjobs.dump", [PERSON, PERSON * 1000])
    files.finish({"catalogs": {}})
    folder = tmp_path / "20250301T000000Z"
    assert not any(PERSON in content for content in files_of(tmp_path).values())
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["format"], manifest["key"]) == (2, key_id(keys_of(KEY)[0]))
    assert KEY not in str(manifest)
    for keys in (KEY, f"{OTHER},{KEY}"):
        [found] = BackupPlace(str(tmp_path), keys_of(keys)).all()
        found.verified()
        assert b"".join(found.read("recjobs.dump")) == PERSON * 1001
    for keys, why in (("", "is not set"), (OTHER, "has other keys")):
        [found] = BackupPlace(str(tmp_path), keys_of(keys)).all()
        with pytest.raises(BadConfiguration, match=f"RECJOBS_BACKUP_KEY {why}"):
            found.verified()


def test_a_back_up_without_a_key_is_as_before_and_is_read_with_one_as_well(tmp_path: Path):
    files = BackupPlace(str(tmp_path)).new(NOW)
    files.write("recjobs.dump", [PERSON])
    files.finish({"catalogs": {}})
    manifest = json.loads((tmp_path / "20250301T000000Z" / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert "key" not in manifest
    for keys in ("", KEY):
        [found] = BackupPlace(str(tmp_path), keys_of(keys)).all()
        found.verified()
        assert b"".join(found.read("recjobs.dump")) == PERSON


def test_a_lost_machine_comes_back_from_an_encrypted_back_up_with_its_key_only(postgres: Postgres, tmp_path: Path):
    world = world_in_its_own_database(postgres, tmp_path)
    migrate_catalog(Database(world.postgres.cluster.url("recjobs_migrator"), world.name), "A shop for tests")
    batch_id = publish(world, 1)
    with ArtifactStore(str(world.artifacts), world.name).night(batch_id).writing("refit") as files:
        files.save_text("model.npz", PERSON.decode() * 1000)
    mlflow = Path(world.settings["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///"))
    with sqlite3.connect(mlflow) as connection:
        connection.execute("create table runs (id text)")
    connection.close()
    before, place = state_of(world), str(tmp_path / "place")
    assert recjobs(world, "back-up", "--to", place, RECJOBS_BACKUP_KEY="secret").code == 78
    done = recjobs(world, "back-up", "--to", place, RECJOBS_BACKUP_KEY=KEY)
    assert (done.code, done.json["encrypted"]) == (0, True), done.err
    stored = files_of(Path(done.json["backup"]))
    assert sum(name.endswith("refit/model.npz") for name in stored) == 1
    assert not any(PERSON in content for content in stored.values())
    assert not stored["recjobs.dump"].startswith(b"PGDMP")
    assert not stored["mlflow.sqlite"].startswith(b"SQLite")
    for key in ("", OTHER):
        refused = recjobs(world, "restore", "--from", place, "--force", "a test", RECJOBS_BACKUP_KEY=key)
        assert (refused.code, "nothing was changed" in refused.message) == (78, True), refused.err
        assert state_of(world) == before
    lose(world)
    restored = recjobs(world, "restore", "--from", place, RECJOBS_BACKUP_KEY=f"{OTHER},{KEY}")
    assert restored.code == 0, restored.err
    assert state_of(world) == before
    shutil.rmtree(place)
