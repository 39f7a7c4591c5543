"""A night as every step sees it: what it was asked to do, pinned when it began, and its artifacts."""

import hashlib
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from recjobs.adapters.artifacts import Artifacts
from recjobs.adapters.mlflow_registry import Registry
from recjobs.adapters.postgres import Database
from recjobs.catalog import Catalog
from recjobs.config import ROOT, Settings, load_settings
from recjobs.core.approval import decided, is_open
from recjobs.core.batch_ids import parse_batch_id
from recjobs.core.splitting import Cutoff
from recjobs.core.volume import PastNight
from recjobs.errors import Misuse, ModelRefused, SystemAway

if TYPE_CHECKING:
    from recjobs.core.als import Factors
    from recjobs.core.model_file import StoredModel

Role = Literal["owner", "loader", "publisher", "reader", "editor"]


class ChampionPin(BaseModel):
    """The champion a night is held against, as it was when the night began."""

    model_config = ConfigDict(frozen=True)

    model_version: str
    batch_id: str
    uri: str
    sha256: str
    data_cutoff: datetime
    recipe: dict[str, Any]


class ChallengerPin(BaseModel):
    """The challenger whose recipe a night trains, as it was when the night began."""

    model_config = ConfigDict(frozen=True)

    study_id: str
    recipe: dict[str, Any]
    base_recipe: dict[str, Any]
    value: float
    base_value: float | None


class LivePin(BaseModel):
    """The live batch as it was when the night began: the lists that tonight's are compared with."""

    model_config = ConfigDict(frozen=True)

    batch_id: str
    checksum: str
    input_hash: str


class Request(BaseModel):
    """What one night was asked to do. No step reads anything else of the outside state."""

    model_config = ConfigDict(frozen=True)

    batch_id: str
    as_of: datetime
    """Exclusive end of what this night may see."""
    began_at: datetime
    """The clock when the night began; a later time in the input lies in the future."""
    overrides: dict[str, Any]
    force: str | None
    """Why the operator publishes in spite of a refusal, or null."""
    publish: bool
    seed: int
    champion: ChampionPin | None
    challenger: ChallengerPin | None = None
    """Where the recipe of `catalog` is from, if not from its file."""
    live_batch: LivePin | None = None
    history: tuple[PastNight, ...] = ()
    """Earlier accepted nights, newest first: what is usual."""
    base: str | None = None
    """The batch whose accepted interactions tonight's increment is added to."""
    input: dict[str, Any]
    """`hash` of all input bytes, and each file's path, size and hash."""
    code_version: str
    catalog: Catalog
    """The catalog, overrides and the challenger's recipe included, as it was when the night began."""

    def asks_the_same_as(self, stored: dict[str, Any]) -> bool:
        """Whether the night of a request.json was asked the same, whatever the clock and what was in charge then. An
        older version of this code may have stored a request that this one could not read."""
        ignored = {"batch_id", "as_of", "began_at", "champion", "live_batch", "history", "base"}
        asked = self.model_dump(mode="json", exclude=ignored)
        return asked == {key: value for key, value in stored.items() if key not in ignored}


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
        from recjobs.core.model_file import StoredModel

        pin = self.request.champion
        assert pin is not None
        artifacts = registered(self.artifacts, pin)
        return StoredModel.from_arrays(artifacts.load_arrays("refit", "model.npz"))

    def candidate(self) -> "StoredModel":
        """Tonight's candidate. Raises ModelUnreadable when the file that `train` wrote holds no model."""
        from recjobs.core.model_file import StoredModel

        return StoredModel.from_arrays(self.artifacts.load_arrays("train", "candidate.npz"))

    def aligned_champion(self) -> "Factors":
        """The pinned champion's factors in tonight's order of users and items; rows it does not know are zeros."""
        from recjobs.core.als import Factors, aligned

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
