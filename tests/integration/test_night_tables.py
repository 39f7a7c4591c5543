"""A night on a table of Delta Lake that goes on meanwhile: it reads the version that it began with."""

import os

import pytest

from tests.worlds import MakeWorld, shop


def test_a_night_reads_the_version_that_it_began_with(make_world: MakeWorld) -> None:
    if not os.environ.get("CI"):
        pytest.importorskip("deltalake")
    from deltalake import DeltaTable, write_deltalake

    world = make_world(shop())
    rows = world.goods.rows()
    write_deltalake(world.data / "lake", rows)
    source = {**world.catalog["sources"][0], "path": "lake", "format": "delta"}
    world.write_catalog({**world.catalog, "sources": [source]})
    batch_id = world.recjobs("begin", "--json").json["batch_id"]
    write_deltalake(world.data / "lake", rows.head(100), mode="append")
    DeltaTable(world.data / "lake").delete()
    extracted = world.recjobs("extract", "--batch-id", batch_id, "--json")
    assert extracted.code == 0, extracted.err
    assert extracted.json["read"] == len(rows)
    text = world.step(batch_id, "begin", "request.json").read_text()
    assert "lake#version=0" in text
