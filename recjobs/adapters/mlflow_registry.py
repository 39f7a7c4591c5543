"""MLflow: one run a night, model versions under the catalog's name, and the aliases candidate and champion."""

import io
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any

from recjobs.adapters.mlflow_import import load
from recjobs.errors import SystemAway

_MODEL_CODE = Path(__file__).with_name("mlflow_model.py")
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Without it MLflow's page of an experiment opens on traces, of which there are none, instead of the runs."""
_ACTIVE, _ALL = 1, 3
"""MLflow's ViewType, whose import takes seconds."""
_NOT_SERVED = (
    "`predict` ranks all items by the factors of the fit, the first stage. These are not the lists that are served: "
    "those leave out what a user has seen, know the interactions since the fit, contain item neighbours, new and "
    "popular items, and are ordered by the second stage where the recipe has one. "
    "They are in Postgres, in the view `served_lists` and the function `recommend`."
)


class Registry:
    """The runs and model versions of one catalog. Importing MLflow takes seconds, so it happens on first use."""

    def __init__(self, tracking_uri: str, artifact_root: str, catalog: str) -> None:
        self.uri, self._artifact_root, self._catalog = tracking_uri, artifact_root, catalog

    @contextmanager
    def _client(self) -> Iterator[Any]:
        load(self.uri)
        import mlflow
        from mlflow.exceptions import MlflowException
        from mlflow.tracking._tracking_service.utils import _get_store
        from sqlalchemy.exc import SQLAlchemyError

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        try:
            mlflow.set_tracking_uri(self.uri)
            if "'" in str(Path.cwd()):
                # The folder of MLflow's own first experiment, which nobody uses, goes into its SQL as Python quotes it.
                _get_store(self.uri, "mlflow-artifacts:/")
            yield mlflow.MlflowClient(self.uri)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = str(error).strip().splitlines()
            raise SystemAway(
                f"MLflow does not answer ({reason[0] if reason else type(error).__name__}); see to MLFLOW_TRACKING_URI"
            ) from error

    def run_of(self, batch_id: str, tag: str = "batch_id") -> str:
        """Return the id of a batch's run (tag `study_id`: of a study's, its trials' parent), created if missing."""
        with self._client() as client:
            return self._run(client, {tag: batch_id}, batch_id)

    def log_trial(self, study_run: str, number: int, trial: dict[str, Any]) -> None:
        """Write one trial under its study's run, unless it is written: params, metrics, state and time.

        trial: params, metrics, looks ({iteration: NDCG@20}), state, began_at and seconds.
        """
        with self._client() as client:
            from mlflow.entities import Metric, Param, RunTag

            tags = {"mlflow.parentRunId": study_run, "trial": f"{number:05}"}
            run_id = self._run(client, tags, f"trial {number:05}", start_time=round(1000 * trial["began_at"]))
            if client.get_run(run_id).info.status == "FINISHED":
                return
            at = round(1000 * (trial["began_at"] + trial["seconds"]))
            client.log_batch(
                run_id,
                [Metric(name, value, at, 0) for name, value in trial["metrics"].items()]
                + [Metric("ndcg_at_20_by_iteration", value, at, step) for step, value in trial["looks"].items()],
                [Param(name, str(value)) for name, value in trial["params"].items()],
                [RunTag("state", trial["state"])],
            )
            client.set_terminated(run_id, end_time=at)

    def logged_trials(self, study_run: str) -> set[int]:
        """The numbers of the trials whose runs are complete."""
        with self._client() as client:
            experiment = client.get_run(study_run).info.experiment_id
            query = f"tags.`mlflow.parentRunId` = '{study_run}' and attributes.status = 'FINISHED'"
            return {int(run.data.tags["trial"]) for run in client.search_runs([experiment], query, max_results=10_000)}

    def _run(self, client: Any, tags: dict[str, str], name: str, **options: Any) -> str:
        experiment_id = self._experiment(client)
        query = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())
        if runs := client.search_runs([experiment_id], query, max_results=1):
            return str(runs[0].info.run_id)
        run = client.create_run(experiment_id, tags={**tags, "catalog": self._catalog}, run_name=name, **options)
        return str(run.info.run_id)

    def start(self, name: str, tags: dict[str, str], parent: str | None = None) -> str:
        """Create a run that belongs to no batch, such as a comparison, under a parent run or none; returns its id."""
        with self._client() as client:
            tags = tags | {"catalog": self._catalog} | ({"mlflow.parentRunId": parent} if parent else {})
            return str(client.create_run(self._experiment(client), tags=tags, run_name=name).info.run_id)

    def _experiment(self, client: Any) -> str:
        place = f"{self._artifact_root}/{self._catalog}"
        if experiment := client.get_experiment_by_name(self._catalog):
            known = str(experiment.artifact_location)
            # MLflow pins the folder of an experiment. One of a checkout that was moved since is gone, for good.
            if not known.startswith("/") or known == place or Path(known).parent.exists():
                for tag, value in _KIND.items() - experiment.tags.items():  # an older version made it
                    client.set_experiment_tag(experiment.experiment_id, tag, value)
                return str(experiment.experiment_id)
            client.rename_experiment(experiment.experiment_id, f"{self._catalog}, in {known} until it was moved")
        return str(client.create_experiment(self._catalog, place, tags=_KIND))

    def log(self, run_id: str, *, params: dict[str, Any], metrics: dict[str, float], tags: dict[str, str]) -> None:
        """Write params, tags and metrics, which the run's model gets too. Idempotent."""
        with self._client() as client:
            from mlflow.entities import Metric, Param, RunTag

            run, now = client.get_run(run_id), int(time.time() * 1000)
            model = next((each.model_id for each in reversed(run.outputs.model_outputs if run.outputs else [])), None)
            new = {name: value for name, value in metrics.items() if run.data.metrics.get(name) != value}
            # one transaction: 75 metrics one by one took MLflow two seconds
            client.log_batch(
                run_id,
                [Metric(name, value, now, 0, model) for name, value in new.items()],
                [Param(name, str(value)) for name, value in params.items() if name not in run.data.params],
                [RunTag(name, text) for name, text in tags.items()],
            )

    def register(self, run_id: str, batch_id: str, model: bytes, sha256: str, tags: dict[str, str]) -> str:
        """Register a model version of this catalog; the same model of the same batch only once."""
        with self._client() as client:
            import mlflow

            if known := self._version_of(client, batch_id, sha256):
                return known
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.npz"
                path.write_bytes(model)
                with mlflow.start_run(run_id), warnings.catch_warnings(action="ignore"):
                    logged = mlflow.pyfunc.log_model(
                        name="model",
                        python_model=str(_MODEL_CODE),
                        artifacts={"factors": str(path)},
                        model_config={"sha256": sha256},
                        signature=_signature(),
                        pip_requirements=["numpy", "pandas"],
                    )
            if not client.search_registered_models(f"name = '{self._catalog}'"):
                client.create_registered_model(self._catalog)
            tags = tags | {"batch_id": batch_id, "sha256": sha256}
            version = client.create_model_version(
                self._catalog, logged.model_uri, run_id, tags=tags, model_id=logged.model_id, description=_NOT_SERVED
            )
            return str(version.version)

    def version_of(self, batch_id: str, sha256: str) -> str | None:
        """The number of a batch's model here. It may be another one than Postgres has, or none: MLflow counts from 1
        again once its database or its registry is lost."""
        with self._client() as client:
            return self._version_of(client, batch_id, sha256)

    def _version_of(self, client: Any, batch_id: str, sha256: str) -> str | None:
        query = f"name = '{self._catalog}' and tags.sha256 = '{sha256}'"
        versions = client.search_model_versions(query)
        return next((str(each.version) for each in versions if each.tags.get("batch_id") == batch_id), None)

    def note(self, version: str, model_version: str) -> None:
        """Make a version the `candidate`, and tag it with the version that Postgres has it under."""
        with self._client() as client:
            client.set_model_version_tag(self._catalog, version, "model_version", model_version)
            client.set_registered_model_alias(self._catalog, "candidate", version)

    def set_champion(self, version: str | None) -> str | None:
        """Move the alias `champion` to a version, or remove it (None). Returns the version it named before."""
        with self._client() as client:
            models = client.search_registered_models(f"name = '{self._catalog}'")
            previous = next((str(model.aliases["champion"]) for model in models if "champion" in model.aliases), None)
            if version is not None:
                client.set_registered_model_alias(self._catalog, "champion", version)
            elif previous is not None:
                client.delete_registered_model_alias(self._catalog, "champion")
            return previous

    def replace_hashes(self, changes: dict[str, str]) -> None:
        """Tag versions whose files were rewritten with the hash of now; changes: it by the hash of before."""
        with self._client() as client:
            for old, new in changes.items():
                for version in client.search_model_versions(f"name = '{self._catalog}' and tags.sha256 = '{old}'"):
                    client.set_model_version_tag(self._catalog, str(version.version), "sha256", new)

    def contents(self) -> dict[str, int]:
        """How many experiments (one, and those whose folder was moved), runs and model versions the catalog has."""
        with self._client() as client:
            experiments = self._experiments(client)
            runs = [
                run
                for each in experiments
                for run in client.search_runs([each.experiment_id], run_view_type=_ALL, max_results=50_000)
            ]
            versions = client.search_model_versions(f"name = '{self._catalog}'", max_results=10_000)
            models = client.search_registered_models(f"name = '{self._catalog}'")
            counts = {"experiments": experiments, "runs": runs, "models": models, "versions": versions}
            return {name: len(each) for name, each in counts.items()}

    def prune(self, kept: set[str], before: datetime, dry_run: bool) -> dict[str, int]:
        """Remove runs that began before an instant, with their files and model versions, but for those of the batches
        in `kept` and those that an alias names. Returns how many runs and versions. Through a server (`http`) they are
        only marked as deleted, until `mlflow gc` runs there. dry_run: only count."""
        with self._client() as client:
            versions = client.search_model_versions(f"name = '{self._catalog}'", max_results=10_000)
            models = client.search_registered_models(f"name = '{self._catalog}'")
            named = {str(version) for model in models for version in model.aliases.values()}
            needed = {one.run_id for one in versions if str(one.version) in named or one.tags.get("batch_id") in kept}
            query = f"attributes.start_time < {round(before.timestamp() * 1000)}"
            old = {
                run.info.run_id: run
                for each in self._experiments(client)
                for run in client.search_runs([each.experiment_id], query, run_view_type=_ALL, max_results=10_000)
                if run.info.run_id not in needed and run.data.tags.get("batch_id") not in kept
            }
            gone = [each for each in versions if each.run_id in old]
            if not dry_run:
                for version in gone:
                    client.delete_model_version(self._catalog, version.version)
                for run in old.values():
                    self._remove_run(client, run)
            return {"mlflow_runs": len(old), "mlflow_versions": len(gone)}

    def _remove_run(self, client: Any, run: Any) -> None:
        models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
        for model in models:
            client.delete_logged_model(model.model_id)
        if run.info.lifecycle_stage == "active":
            client.delete_run(run.info.run_id)
        if self.uri.startswith(("http:", "https:")):
            return
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.tracking._tracking_service.utils import _get_store

        # What `mlflow gc` does; itself it would also remove what others have marked as deleted.
        store = _get_store(self.uri)
        for model in models:
            get_artifact_repository(model.artifact_location).delete_artifacts()
            store._hard_delete_logged_model(model.model_id)
        get_artifact_repository(run.info.artifact_uri).delete_artifacts()
        store._hard_delete_run(run.info.run_id)

    def remove(self) -> bool:
        """Remove the catalog's model, its experiments and their runs. Returns whether `mlflow gc` must still be run on
        MLflow's server: through a server they can only be marked as deleted, under a name that is free again."""
        with self._client() as client:
            if client.search_registered_models(f"name = '{self._catalog}'"):
                client.delete_registered_model(self._catalog)
            experiments = self._experiments(client)
            by_server = self.uri.startswith(("http:", "https:"))
            for each in experiments:
                if each.lifecycle_stage == "active":
                    if by_server:  # else nobody could have an experiment of this name again
                        client.rename_experiment(each.experiment_id, f"{each.name}, removed {each.experiment_id}")
                    client.delete_experiment(each.experiment_id)
            if experiments and not by_server:
                from mlflow.cli import gc

                ids = ",".join(each.experiment_id for each in experiments)
                with redirect_stdout(io.StringIO()):
                    gc.main(["--backend-store-uri", self.uri, "--experiment-ids", ids], standalone_mode=False)
            return bool(experiments) and by_server

    def _experiments(self, client: Any) -> list[Any]:
        view = _ALL if not self.uri.startswith(("http:", "https:")) else _ACTIVE
        experiments = client.search_experiments(view_type=view, filter_string=f"name LIKE '{self._catalog}%'")
        return [one for one in experiments if one.name == self._catalog or one.name.startswith(f"{self._catalog}, ")]

    def attach(self, run_id: str, name: str, text: str) -> None:
        """Keep a text file with the run."""
        with self._client() as client:
            client.log_text(run_id, text, name)

    def finish(self, run_id: str) -> None:
        """Mark the run as finished."""
        with self._client() as client:
            client.set_terminated(run_id)


def _signature() -> Any:
    """Inputs, outputs and params of the model; MLflow drops params that a signature does not name."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    lists = {"user_id": "string", "rank": "long", "item_id": "string", "score": "double"}
    return ModelSignature(
        inputs=Schema([ColSpec("string", "user_id")]),
        outputs=Schema([ColSpec(kind, name) for name, kind in lists.items()]),
        params=ParamSchema([ParamSpec("n", "long", 20), ParamSpec("seen_items", "string", "included")]),
    )
