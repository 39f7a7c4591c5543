"""Malformed and hostile inputs, one for each class of fault: what becomes of each was fixed before it was tried."""

import importlib
import inspect
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.commands import Command, Done
from tests.corpus.ground import Ground
from tests.corpus.outcomes import OUTCOMES
from tests.corpus.verdicts import Outcome
from tests.worlds import MakeWorld, World

LEVELS = ("files", "schemas", "values", "ids", "sets", "configurations")
FAULTS: dict[str, Callable[[Ground], None]] = {
    f"{level}.{name}": fault
    for level in LEVELS
    for name, fault in vars(importlib.import_module(f"tests.corpus.{level}")).items()
    if inspect.isfunction(fault) and fault.__module__ == f"tests.corpus.{level}" and not name.startswith("_")
}
STEPS = ("extract", "validate")


def cases(*verdicts: str) -> list[str]:
    return [name for name, outcome in OUTCOMES.items() if outcome.verdict in verdicts]


def test_every_fault_has_an_outcome_and_there_are_a_hundred_of_them():
    assert FAULTS.keys() == OUTCOMES.keys()
    assert len(FAULTS) >= 100


@pytest.fixture(scope="module")
def live(make_world: MakeWorld) -> World:
    """A world of sound rows, with last night's batch live."""
    world = make_world()
    ground = Ground(world.data, world.folder)
    ground.rows()
    world.write_catalog(ground.tree)
    world.publish("--as-of", "2025-06-01")
    return world


@pytest.fixture
def untouched(live: World) -> Iterator[World]:
    before, batch = live.everything(), live.live()
    assert batch
    yield live
    assert (live.everything(), live.live()) == (before, batch)


def _run(arguments: tuple[str, ...], settings: dict[str, str]) -> Done:
    return Command(arguments, settings).wait()


class Place:
    """A case's own folders, and a look at whether anything but the artifacts was written to."""

    def __init__(
        self,
        folder: Path,
        world: World,
        case: str,
        *,
        engine: str = "local",
        run: Callable[..., Done] = _run,
        now: datetime | None = None,
    ) -> None:
        self.world, self.folder, self._run = world, folder, run
        self.outside, self.data, self.catalogs = (folder / name for name in ("outside", "data", "catalogs"))
        for made in (self.outside, self.data, self.catalogs):
            made.mkdir()
        self.ground = Ground(self.data, self.outside, now=now or datetime.now(UTC))
        FAULTS[case](self.ground)
        if engine != "local":
            self.ground.tree["engine"] = engine
        self.name = self.ground.name or world.name
        text = self.ground.text
        written = yaml.safe_dump(self.ground.tree, allow_unicode=True) if text is None else text
        content = written if isinstance(written, bytes) else written.encode()
        (self.catalogs / f"{Path(self.name).name}.yaml").write_bytes(content)
        self._before = self._content()

    def recjobs(self, verb: str, *arguments: str) -> Done:
        """Run a command where HOME and TMPDIR are folders that nothing is written to."""
        settings = {
            **self.world.settings,
            "HOME": str(self.outside),
            "TMPDIR": str(self.outside),
            "RECJOBS_DATA": str(self.data),
            "RECJOBS_CATALOGS": str(self.catalogs),
            **self.ground.settings,
        }
        done = self._run((verb, "--catalog", self.name, "--json", *arguments), settings)
        assert "Traceback" not in done.err + done.out
        return done

    def to_the_end_of(self, *steps: str) -> Done:
        """Begin a night and run these steps of it; how the last that ran ended."""
        done = self.recjobs("begin")
        if done.code:
            return done
        batch_id = done.json["batch_id"]
        if self.ground.later:
            self.ground.later()
            self._before = self._content()
        for step in steps:
            done = self.recjobs(step, "--batch-id", batch_id)
            if done.code:
                break
        return done

    def must_be_as_it_was(self) -> None:
        """Nothing was written outside the artifact root."""
        assert self._content() == self._before

    def _content(self) -> dict[str, tuple[int, int]]:
        found = {}
        for folder, _, names in os.walk(self.folder):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                state = os.lstat(path)
                found[path] = (state.st_size, state.st_mtime_ns)
        return found


@pytest.mark.parametrize("case", cases("refuse", "skip"))
def test_what_cannot_be_used_ends_the_night_by_its_exit_code_and_a_message(untouched: World, tmp_path: Path, case: str):
    outcome, place = OUTCOMES[case], Place(tmp_path, untouched, case)
    done = place.to_the_end_of("extract") if place.ground.later else place.recjobs("night")
    assert done.code == outcome.code, done.err
    for word in outcome.words:
        assert word in done.message
    place.must_be_as_it_was()


@pytest.fixture(scope="module")
def quiet(make_world: MakeWorld) -> World:
    """A catalog in which nothing is ever published."""
    return make_world()


@pytest.mark.parametrize("case", cases("accept", "quarantine"))
def test_what_can_be_used_is_accounted_for_row_by_row(quiet: World, tmp_path: Path, case: str):
    place = Place(tmp_path, quiet, case)
    done = place.to_the_end_of(*STEPS)
    assert done.code == 0, done.err
    must_account_for(quiet, batch_of(quiet), OUTCOMES[case])
    must_have_ids(quiet, batch_of(quiet), place.ground.ids)
    place.must_be_as_it_was()


@pytest.mark.parametrize("case", cases("publish"))
def test_what_is_odd_but_sound_is_published(make_world: MakeWorld, tmp_path: Path, case: str):
    world = make_world()
    place = Place(tmp_path, world, case)
    done = place.recjobs("night")
    assert done.code == 0, done.err
    assert world.live() == done.json["batch_id"]
    must_account_for(world, done.json["batch_id"], OUTCOMES[case])
    listed = {row["user_id"] for row in world.rows("select distinct user_id from recommendations")}
    assert place.ground.ids <= listed


def batch_of(world: World) -> str:
    """The night that began last."""
    return max((path for path in (world.artifacts / world.name).iterdir()), key=lambda p: p.stat().st_ctime_ns).name


def must_account_for(world: World, batch_id: str, outcome: Outcome) -> None:
    found = json.loads(world.step(batch_id, "validate", "findings.json").read_text())
    counts, rows = found["counts"], found["findings"]
    assert counts["accepted"] == outcome.accepted
    assert counts["merged"] == outcome.merged
    assert {f["reason"]: f["n_rows"] for f in rows if f["action"] == "quarantined"} == outcome.quarantined
    assert {f["reason"]: f["n_rows"] for f in rows if f["action"] == "excluded"} == outcome.excluded
    assert counts["read"] == sum(counts[name] for name in ("excluded", "accepted", "merged", "quarantined"))
    rejected = pq.read_table(world.step(batch_id, "validate", "rejected.parquet"))
    assert rejected.num_rows == sum(outcome.quarantined.values())


def must_have_ids(world: World, batch_id: str, ids: set[str]) -> None:
    users, items = (
        set(pq.read_table(world.step(batch_id, "validate", f"{name}s.parquet"))[f"{name}_id"].to_pylist())
        for name in ("user", "item")
    )
    assert all(one in users or one in items for one in ids)
