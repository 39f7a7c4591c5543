"""`recjobs compare`: two recipes on past dates. Equal ones differ by nothing, a worse one is seen; it only looks."""

import mlflow
import pytest

from tests.worlds import EARLIER

LATER = "2025-06-26"
WORSE = "factors=1,iterations=1"


@pytest.fixture(scope="module")
def compare(published, tmp_path_factory):
    """Runs the command in a published world, its nights in a folder of their own."""
    folder = tmp_path_factory.mktemp("artifacts")

    def run(*arguments, **settings):
        return published.recjobs("compare", *arguments, RECJOBS_ARTIFACTS=str(folder), RECJOBS_THREADS="2", **settings)

    return run


def test_a_better_recipe_is_seen_on_every_date_and_nothing_is_published(compare, published):
    def all_of_it():
        return published.everything(), published.rows("select count(*) from inputs")

    before = all_of_it()
    done = compare(WORSE, "champion", "--as-of", f"{EARLIER},{LATER}", "--json")
    assert done.code == 0, done.err
    assert all_of_it() == before
    found = done.json
    assert found["recipes"]["a"]["factors"] == 1
    assert found["recipes"]["b"]["factors"] == 8
    assert [date["date"] for date in found["dates"]] == [EARLIER, LATER]
    for part in (*(date["views"] for date in found["dates"]), found["overall"]):
        for view in ("discovery", "repeats"):
            of = part[view]
            assert of["difference"]["low"] > 0
            assert 0 < of["popularity_30d"] < of["b"]
            assert of["neighbours"] > 0
    dates = [date["views"]["discovery"] for date in found["dates"]]
    ratio = (dates[0]["b"] / dates[0]["a"] * dates[1]["b"] / dates[1]["a"]) ** 0.5
    assert found["overall"]["discovery"]["difference"]["value"] == pytest.approx(ratio - 1)
    assert found["overall"]["discovery"]["b"] == pytest.approx((dates[0]["b"] * dates[1]["b"]) ** 0.5)

    client = mlflow.MlflowClient(published.settings["MLFLOW_TRACKING_URI"])
    parent = client.get_run(found["mlflow_run"])
    runs = client.search_runs([parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert {run.info.run_name for run in runs} == {f"{d} {r}" for d in (EARLIER, LATER) for r in (WORSE, "champion")}
    assert {run.info.status for run in (parent, *runs)} == {"FINISHED"}
    [of_b] = [run for run in runs if run.info.run_name == f"{LATER} champion"]
    assert of_b.data.metrics["discovery.ndcg_at_20"] == pytest.approx(dates[1]["b"])
    assert of_b.data.params["factors"] == "8"


def test_the_same_recipe_on_both_sides_differs_by_exactly_nothing_and_a_split_is_used_again(compare, published):
    done = compare("catalog", "alpha=10", "--as-of", EARLIER, "--json")
    assert done.code == 0, done.err
    for view in ("discovery", "repeats"):
        [date] = done.json["dates"]
        assert date["views"][view]["difference"] == {"value": 0, "low": 0, "high": 0}
        assert date["views"][view]["a"] == date["views"][view]["b"] > 0
        assert done.json["overall"][view]["difference"] == {"value": 0, "low": 0, "high": 0}
    assert date["batch_id"].endswith("-1")


def test_without_json_it_is_a_table_to_read(compare):
    done = compare("catalog", "catalog", "--as-of", EARLIER)
    assert done.code == 0, done.err
    assert f"{EARLIER} discovery" in done.out
    assert "+0.0% (+0.0% to +0.0%)" in done.out
    assert "all dates, repeats" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("catalog", "champoin", "--as-of", EARLIER), 64, "recipe champoin: is neither catalog"),
        (("catalog", "factors=0", "--as-of", EARLIER), 64, "model.factors: 0"),
        (("catalog", "catalog", "--as-of", "," ), 64, "say at least one date"),
        (("catalog", "catalog", "--as-of", "yesterday"), 64, "yesterday"),
        (("catalog", "catalog", "--as-of", "2001-01-01"), 65, "usable interactions"),
        (("catalog", "catalog", "--as-of", "2025-03-20"), 65, "nothing to learn from before 2025-02-19"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_said_with_the_right_exit_code(compare, arguments, code, why):
    done = compare(*arguments)
    assert (done.code, why in done.message) == (code, True), done.err
