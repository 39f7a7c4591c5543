"""The lines of docs/notebook.md, run as they stand, against a shop that was published."""

import json
import re
import subprocess
import sys

import pandas as pd
import pytest

from tests.commands import ROOT, environment_of

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8"), re.DOTALL)
LOOK = """
import json
print(json.dumps({
    "columns": {name: str(kind) for name, kind in interactions.dtypes.items()},
    "rows": sorted(map(list, zip(interactions["user_id"], interactions["item_id"]))),
    "oldest": interactions["occurred_at"].min().isoformat(),
    "weight": float(interactions["weight"].sum()),
    "users": list(user_factors.index), "items": list(item_factors.index),
    "factors": [list(user_factors.shape), list(item_factors.shape), str(item_factors.dtypes.iloc[0])],
    "scores": (item_factors @ user_factors.loc["007"]).to_dict(),
    "champion": [champion.model_version, champion.recipe["factors"], champion.data_cutoff.isoformat()],
}))
"""


def run(world, code):
    return subprocess.run(
        [sys.executable, "-c", code.replace("online_retail", world.name)],
        env=environment_of(world.settings) | {"PYTHONPATH": str(ROOT)},
        cwd=world.folder,
        capture_output=True,
        text=True,
    )


def test_five_lines_load_interactions_factors_and_champion(published):
    assert len([line for line in BLOCKS[0].splitlines() if line]) == 5
    done = run(published, "\n".join([*BLOCKS, LOOK]))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    sound = published.goods.sound
    assert found["rows"] == sorted(map(list, zip(sound["user"], sound["item"], strict=True)))
    assert found["columns"]["occurred_at"] == "datetime64[us, UTC]"
    assert set(found["columns"]) == {"user_id", "item_id", "occurred_at", "weight", "kind"}
    assert pd.Timestamp(found["oldest"]) == sound["at"].min()
    assert found["weight"] == sound["quantity"].sum()
    assert set(found["users"]) == set(sound["user"])
    assert set(found["items"]) >= set(sound["item"])
    assert found["factors"] == [[len(found["users"]), 8], [len(found["items"]), 8], "float32"]
    listed = published.rows("select item_id, score from recommendations where user_id = '007' and source = 'als'")
    assert listed
    # the served vector is solved exactly, the stored one is the fit's last step
    scores = [found["scores"][row["item_id"]] for row in listed]
    assert scores == pytest.approx([row["score"] for row in listed], abs=0.1)
    [row] = published.rows("select model_version, recipe, data_cutoff from champion", role="admin")
    assert found["champion"][:2] == [row["model_version"], row["recipe"]["factors"]]
    assert pd.Timestamp(found["champion"][2]) == row["data_cutoff"]


def test_a_catalog_that_published_nothing_says_so(make_world):
    world = make_world()
    assert world.recjobs("begin").code == 0  # its schema is there
    done = run(world, BLOCKS[0])
    assert done.returncode == 1
    assert f"nothing was published yet; `recjobs night --catalog {world.name}` does it" in done.stderr
