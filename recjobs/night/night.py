"""A night as every step sees it: what it was asked to do, pinned when it began, and its artifacts."""

import hashlib
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recjobs.adapters.artifacts import Artifacts
from recjobs.adapters.mlflow_registry import Registry
from recjobs.adapters.postgres import Database
from recjobs.catalog.file import Catalog
from recjobs.config import ROOT, Settings, load_settings
from recjobs.core.batch_ids import parse_batch_id
from recjobs.core.evaluation.approval import decided, is_open
from recjobs.core.evaluation.split import Cutoff
from recjobs.errors import Misuse, ModelRefused, SystemAway
from recjobs.night.request import ChampionPin, Request

if TYPE_CHECKING:
    from recjobs.core.model.als import Factors
    from recjobs.core.model.stored import StoredModel

Role = Literal["owner", "loader", "publisher", "reader", "editor"]


@dataclass(frozen=True)
class Night:
    """One batch in the making."""

    request: Request
    artifacts: Artifacts
    settings: Settings

    @classmethod
    def open(cls, catalog: Catalog, batch_id: str) -> "Night":
        """The night that `begin` began. Raises ModelRefused when it did not."""
        parse_batch_id(batch_id)
        settings = load_settings()
        artifacts = Artifacts(settings.artifacts, catalog.name, batch_id)
        return cls(Request.model_validate(artifacts.load_json("begin", "request.json")), artifacts, settings)

    @property
    def catalog(self) -> Catalog:
        """The catalog as it was when the night began."""
        return self.request.catalog

    @property
    def threads(self) -> int:
        """Threads for training and scoring."""
        return self.settings.threads or os.cpu_count() or 1

    @property
    def view(self) -> str:
        """The deciding view: what a user would have been served."""
        return self.catalog.view

    @property
    def after_days(self) -> float | None:
        """How long a seen item is kept out; None: for ever, or not at all."""
        return self.catalog.after_days

    def cutoff(self) -> Cutoff:
        """Where `split` cut."""
        stored = self.artifacts.load_json("split", "cutoff.json")
        return Cutoff(datetime.fromisoformat(stored["at"]), stored["rule"], stored["why"])

    def champion_model(self) -> "StoredModel":
        """The pinned champion's model. Raises ModelRefused unless it is the very file that was registered."""
        from recjobs.core.model.stored import StoredModel

        pin = self.request.champion
        assert pin is not None
        artifacts = registered(self.artifacts, pin)
        return StoredModel.from_arrays(artifacts.load_arrays("refit", "model.npz"))

    def candidate(self) -> "StoredModel":
        """Tonight's candidate. Raises ModelUnreadable when the file that `train` wrote holds no model."""
        from recjobs.core.model.stored import StoredModel

        return StoredModel.from_arrays(self.artifacts.load_arrays("train", "candidate.npz"))

    def aligned_champion(self) -> "Factors":
        """The pinned champion's factors in tonight's order of users and items; rows it does not know are zeros."""
        from recjobs.core.model.als import Factors, aligned

        model = self.champion_model()
        return Factors(
            aligned(model.factors.user_factors, model.user_ids, self.ids("users")),
            aligned(model.factors.item_factors, model.item_ids, self.ids("items")),
        )

    def ids(self, of: Literal["users", "items"]) -> list[str]:
        """Tonight's user or item ids, by index."""
        table = self.artifacts.load_table("validate", f"{of}.parquet", [f"{of[:-1]}_id"])
        return list(table.column(0).to_pylist())

    def verdict(self) -> dict[str, Any]:
        """The gate's verdict, with the answer of whoever was asked."""
        verdict: dict[str, Any] = self.artifacts.load_json("gate", "verdict.json")
        if not is_open(verdict, self.catalog.gate.approval) or not self.artifacts.is_done("approve"):
            return verdict
        answer = self.artifacts.load_json("approve", "answer.json")
        return decided(verdict, None if answer["late"] else answer)

    def registry(self) -> Registry:
        """This catalog's runs and model versions in MLflow."""
        return registry(self.settings, self.catalog)

    def mlflow_run(self, registry: Registry) -> str:
        """The id of this night's MLflow run, with its recipe, metrics and tags written."""
        request, run_id = self.request, registry.run_of(self.batch_id)
        metrics = {
            ".".join((row["model"], row["view"], row["metric"])): row["value"]
            for row in self.artifacts.load_json("evaluate", "evaluation.json")["metrics"]
            if row["segment"] == "all" and row["value"] is not None
        }
        verdict = self.verdict()
        registry.log(
            run_id,
            params={**self.catalog.recipe.to_json(), "seed": request.seed, "as_of": request.as_of.isoformat()},
            metrics=metrics | {k: v for k, v in verdict.items() if isinstance(v, int | float)},
            tags={
                "verdict": verdict["verdict"],
                "reason": verdict["reason"],
                "input_hash": request.input["hash"],
                "code_version": request.code_version,
            },
        )
        return run_id

    @property
    def batch_id(self) -> str:
        """This night's batch."""
        return self.request.batch_id

    def database(self, role: Role) -> Database:
        """Postgres as one role, with this catalog's schema as the search path."""
        return database(self.settings, self.catalog, role)


def registered(artifacts: Artifacts, pin: ChampionPin) -> Artifacts:
    """The artifacts that a champion's model lies in. Raises ModelRefused unless it is the one that was registered."""
    found = artifacts.of_batch(pin.batch_id)
    if found.manifest("refit").get("model.npz") != pin.sha256:
        raise ModelRefused(
            f"{found.where('refit', 'model.npz')} is not the model registered as version {pin.model_version}"
        )
    return found


def database(settings: Settings, catalog: Catalog, role: Role) -> Database:
    """Postgres as one role, with a catalog's schema as the search path."""
    return Database(settings.url_of(role), catalog.name)


def registry(settings: Settings, catalog: Catalog) -> Registry:
    """A catalog's runs and model versions in MLflow."""
    uri = settings.mlflow_tracking_uri or f"sqlite:///{settings.state}/mlflow.db"
    # the underscore: no catalog can be called that
    return Registry(uri, f"{settings.artifacts}/_mlflow", catalog.name)


def let_alias_follow(
    settings: Settings, catalog: Catalog, champion: str | None, was: str | None = None
) -> dict[str, int]:
    """Move MLflow's alias champion. The database is the truth: an alias that lags is mended by the next night, so a
    registry that does not answer fails nothing.

    Returns {"alias_mismatch": 1} where the alias named another version than `was`, the champion until now, else 0;
    nothing where the registry does not answer.
    """
    try:
        return {"alias_mismatch": int(registry(settings, catalog).set_champion(champion) != was)}
    except SystemAway as error:
        logging.getLogger(__name__).warning("MLflow's alias champion was not moved: %s", error)
        return {}


def validated(catalog: Catalog, batch_id: str | None = None) -> Artifacts:
    """The artifacts of a night whose input was validated, accepted or not; without a batch_id the last such night.

    Raises Misuse when there is none.
    """
    artifacts = Artifacts(load_settings().artifacts, catalog.name, "-")
    if batch_id is not None:
        parse_batch_id(batch_id)
    for found in [batch_id] if batch_id else reversed(artifacts.batch_ids()):
        if night := artifacts.of_batch(found).ended("validate"):
            return night
    which = f"{batch_id} was not" if batch_id else "no night was"
    raise Misuse(f"catalog {catalog.name}: {which} validated yet; see `recjobs data list`")


def code_version() -> str:
    """The package's version and a hash of its sources: equal code, equal string."""
    digest = hashlib.sha256()
    for folder, pattern in ((ROOT / "recjobs", "*.py"), (ROOT / "sql", "*.sql")):
        for path in sorted(folder.rglob(pattern)):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return f"{_version()}+{digest.hexdigest()[:12]}"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("recjobs")
    except PackageNotFoundError:
        return "0.1.0"


def data_folder(settings: Settings) -> Path:
    """Where relative source paths start."""
    assert settings.data is not None  # load_settings fills it
    return settings.data
