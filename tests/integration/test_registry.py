"""The model in MLflow: loads by alias through MLflow's own API, without pickle, and its alias follows the database."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recjobs.adapters.mlflow_registry import Registry
from recjobs.core.model.kernel import kernel
from tests.worlds import Postgres, World


@pytest.fixture(scope="module")
def mlflow(mlflow_uri: str) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        patch.setenv("MLFLOW_REGISTRY_URI", mlflow_uri)  # so does set_registry_uri, for good
        import mlflow

        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(mlflow_uri)
        mlflow.set_registry_uri(mlflow_uri)
        yield mlflow
        mlflow.set_tracking_uri(before)
        mlflow.set_registry_uri(None)


def folder_of(mlflow: Any, world: World, tmp_path: Path) -> Path:
    """A copy of the champion's folder."""
    return Path(mlflow.artifacts.download_artifacts(f"models:/{world.name}@champion", dst_path=str(tmp_path / "model")))


def test_the_champion_loads_and_recommends_to_a_known_user(published: World, mlflow: Any):
    model = mlflow.pyfunc.load_model(f"models:/{published.name}@champion")
    found = model.predict(pd.DataFrame({"user_id": ["user001", "who?", "007"]}), params={"n": 5})
    assert list(found.columns) == ["user_id", "rank", "item_id", "score"]
    assert found.groupby("user_id").size().to_dict() == {"user001": 5, "007": 5}
    assert found[found["user_id"] == "007"]["rank"].tolist() == [1, 2, 3, 4, 5]
    assert found["score"].groupby(found["user_id"]).apply(lambda s: s.is_monotonic_decreasing).all()
    assert set(found["item_id"]) <= set(published.goods.sound["item"])
    assert len(model.predict(pd.DataFrame({"user_id": ["007"]}))) == 20


def test_it_ranks_as_the_served_lists_do(published: World, mlflow: Any):
    """Seen items apart, which the model shows and the lists do not."""
    model = mlflow.pyfunc.load_model(f"models:/{published.name}@champion")
    users = [row["user_id"] for row in published.rows("select user_id from served_lists where source = 'als' limit 40")]
    found = model.predict(pd.DataFrame({"user_id": users}), params={"n": 72})
    shared = []
    for user_id in users:
        bought = set(published.goods.sound.query("user == @user_id")["item"])
        ranked = [i for i in found[found["user_id"] == user_id]["item_id"] if i not in bought and i != "item10"]
        served = [row["item_id"] for row in published.rows("select item_id from recommend(%s, 10)", user_id)]
        shared.append(len(set(ranked[: len(served)]) & set(served)) / len(served))
    assert np.mean(shared) > 0.9


def test_its_signature_and_description_say_that_it_is_not_what_is_served(published: World, mlflow: Any):
    model = mlflow.pyfunc.load_model(f"models:/{published.name}@champion")
    assert {spec.name: spec.default for spec in model.metadata.get_params_schema()} == {
        "n": 20, "seen_items": "included",
    }  # fmt: skip
    with pytest.raises(Exception, match="the lists without them are in Postgres"):
        model.predict(pd.DataFrame({"user_id": ["007"]}), params={"seen_items": "excluded"})
    version = mlflow.MlflowClient().get_model_version_by_alias(published.name, "champion")
    assert "These are not the lists that are served" in version.description


def test_a_model_has_the_metrics_of_its_night(published: World, mlflow: Any):
    client = mlflow.MlflowClient()
    run = client.get_run(client.get_model_version_by_alias(published.name, "champion").run_id)
    [model] = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    metrics = {metric.key: metric.value for metric in model.metrics or ()}
    assert metrics == run.data.metrics
    assert len(client.get_metric_history(run.info.run_id, "candidate.discovery.ndcg_at_20")) == 1, "it is written once"
    assert {"candidate.discovery.ndcg_at_20", "candidate.repeats.ndcg_at_20"} <= set(metrics)


def test_mlflows_page_of_a_catalog_opens_on_its_runs_also_of_one_that_an_older_version_made(
    published: World, mlflow: Any, tmp_path: Path
):
    client, uri = mlflow.MlflowClient(), mlflow.get_tracking_uri()
    made = client.create_experiment(f"{published.name} of before", str(tmp_path))
    Registry(uri, str(tmp_path), f"{published.name} of before").run_of("20250101T000000Z-1")
    for experiment in (client.get_experiment_by_name(published.name), client.get_experiment(made)):
        assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_there_is_no_pickle_in_the_models_folder(published: World, mlflow: Any, tmp_path: Path):
    folder = folder_of(mlflow, published, tmp_path)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"MLmodel", "model.npz"}
    for path in files:
        assert path.suffix not in (".pkl", ".pickle", ".joblib", ".cloudpickle")
        assert not path.read_bytes().startswith(b"\x80"), f"{path} is a pickle"
    with np.load(next(path for path in files if path.name == "model.npz"), allow_pickle=False) as arrays:
        assert {arrays[name].dtype.hasobject for name in arrays.files} == {False}
    assert "cloudpickle" not in (folder / "MLmodel").read_text().replace("cloudpickle_version", "")


def test_factors_that_were_changed_are_not_loaded(published: World, mlflow: Any, tmp_path: Path):
    folder = folder_of(mlflow, published, tmp_path)
    factors = next(folder.rglob("model.npz"))
    content = bytearray(factors.read_bytes())
    content[len(content) // 2] ^= 1
    factors.write_bytes(content)
    with pytest.raises(Exception, match=r"the factors have SHA-256 .*, registered was"):
        mlflow.pyfunc.load_model(str(folder))


def test_it_loads_where_recjobs_is_not_installed(published: World, mlflow: Any, tmp_path: Path):
    folder = folder_of(mlflow, published, tmp_path)
    code = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    assert "class Recommender" in code
    assert "import recjobs" not in code
    assert "from recjobs" not in code


def test_a_version_carries_its_batch_input_code_and_kernel(published: World, mlflow: Any):
    client = mlflow.MlflowClient()
    for batch in published.rows("select batch_id, model_version, input_hash, code_version from batches"):
        version = client.get_model_version(published.name, batch["model_version"])
        assert {key: version.tags[key] for key in ("batch_id", "input_hash", "code_version")} == {
            key: batch[key] for key in ("batch_id", "input_hash", "code_version")
        }
        assert version.tags["kernel"] == kernel()
        assert version.run_id


def test_a_nights_run_holds_its_params_metrics_tags_and_report(published: World, mlflow: Any):
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(published.name)
    found = client.search_runs([experiment.experiment_id])
    runs = {run.data.tags["batch_id"]: run for run in found if "batch_id" in run.data.tags}  # others are comparisons
    batches = published.rows("select * from batches order by as_of")
    assert set(runs) == {batch["batch_id"] for batch in batches}, "one run a night"
    for batch in batches:
        run = runs[batch["batch_id"]]
        assert run.info.status == "FINISHED"
        assert run.data.params["factors"] == "8"
        assert run.data.params["as_of"] == batch["as_of"].isoformat()
        assert run.data.tags["input_hash"] == batch["input_hash"]
        assert run.data.tags["verdict"] == "promoted"
        assert run.data.tags["kernel"] == kernel()
        of_the_candidate = published.value(
            "select value from evaluations where batch_id = %s and model = 'candidate' and segment = 'all'"
            " and view = 'discovery' and metric = 'ndcg_at_20'", batch["batch_id"],
        )  # fmt: skip
        assert run.data.metrics["candidate.discovery.ndcg_at_20"] == pytest.approx(of_the_candidate)
        report = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="report.html"))
        assert report.read_text() == published.value("select html from reports where batch_id = %s", batch["batch_id"])


def aliases(mlflow: Any, world: World) -> dict[str, str]:
    named = mlflow.MlflowClient().get_registered_model(world.name).aliases
    return {alias: str(version) for alias, version in named.items()}


def test_the_alias_follows_what_is_published_and_what_is_rolled_back(rolling: World, mlflow: Any):
    in_charge = "select model_version from champion"
    first, newest = (row["model_version"] for row in rolling.rows("select model_version from batches order by as_of"))
    assert aliases(mlflow, rolling) == {"champion": newest, "candidate": newest}
    assert rolling.recjobs("roll-back").code == 0
    assert aliases(mlflow, rolling)["champion"] == first == rolling.value(in_charge, role="recjobs_publisher")
    assert rolling.recjobs("promote", "--model-version", newest, "--reason", "a test").code == 0
    assert aliases(mlflow, rolling)["champion"] == newest == rolling.value(in_charge, role="recjobs_publisher")


def test_a_registry_that_is_away_fails_no_roll_back_and_is_mended_by_the_next_flip(rolling: World, mlflow: Any):
    first, newest = (row["batch_id"] for row in rolling.rows("select batch_id from batches order by as_of"))
    done = rolling.recjobs("roll-back", MLFLOW_TRACKING_URI="sqlite:////dev/null/mlflow.db")
    assert done.code == 0
    assert "alias champion was not moved" in done.err
    assert rolling.live() == first
    assert rolling.recjobs("roll-back", "--batch-id", newest).code == 0
    assert aliases(mlflow, rolling)["champion"] == rolling.value("select model_version from batches where is_live")


def test_the_runs_of_a_checkout_that_was_moved_are_kept_where_it_is_now(mlflow: Any, mlflow_uri: str, tmp_path: Path):
    before, after = tmp_path / "before", tmp_path / "it's after"
    before.mkdir()
    assert Registry(mlflow_uri, str(before), "moved").run_of("20260101T000000Z-1")
    before.rename(after)
    runs = Registry(mlflow_uri, str(after), "moved")
    run_id = runs.run_of("20260102T000000Z-1")
    assert mlflow.get_run(run_id).info.artifact_uri.startswith(f"{after}/moved/")
    assert runs.run_of("20260102T000000Z-1") == run_id


@pytest.mark.soak
@pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="MLflow takes ten seconds to make a store")
def test_a_store_in_postgres_is_made_from_a_folder_with_an_apostrophe(
    postgres: Postgres, mlflow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "it's here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    runs = Registry(postgres.cluster.url("mlflow", "mlflow", "postgresql+psycopg2"), str(folder / "kept"), "shop")
    try:
        assert runs.run_of("20260101T000000Z-1") == runs.run_of("20260101T000000Z-1")
    finally:
        mlflow.set_tracking_uri(mlflow.get_registry_uri())
