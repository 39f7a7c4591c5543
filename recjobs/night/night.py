"""A night as every step sees it: its request, pinned when it began, and what its steps have left so far."""

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.mlflow_registry import Registry
from recjobs.adapters.postgres import Database
from recjobs.catalog.file import Catalog
from recjobs.config import ROOT, Settings, load_settings
from recjobs.core.batch_ids import parse_batch_id
from recjobs.core.evaluation.approval import decided, is_open
from recjobs.core.evaluation.verdict import Verdict
from recjobs.core.rows.interactions import Interactions
from recjobs.errors import Misuse, ModelRefused, SystemAway
from recjobs.night.handovers import Handovers
from recjobs.night.request import ChampionPin, Request

if TYPE_CHECKING:
    from recjobs.core.lists.maker import Knowledge
    from recjobs.core.model.als import Factors
    from recjobs.core.model.engine import Engine
    from recjobs.core.model.stored import StoredModel

Role = Literal["owner", "loader", "publisher", "reader", "editor"]


@dataclass(frozen=True)
class Night(Handovers):
    """One batch in the making: its request, what its steps have left so far, and the catalog's other nights."""

    request: Request
    store: ArtifactStore
    settings: Settings

    @classmethod
    def open(cls, catalog: Catalog, batch_id: str) -> "Night":
        """The night that `begin` began. Raises ModelRefused when it did not."""
        parse_batch_id(batch_id)
        settings = load_settings()
        store = ArtifactStore(settings.artifacts, catalog.name)
        night = Handovers(store.night(batch_id))
        return cls(night.files, Request.model_validate(night.stored_request()), store, settings)

    def of_batch(self, batch_id: str) -> Handovers:
        """What another night of the catalog left."""
        return Handovers(self.store.night(batch_id))

    def base(self) -> Handovers | None:
        """The night whose accepted interactions tonight's increment is added to."""
        return self.of_batch(self.request.base) if self.request.base else None

    def live(self) -> Handovers | None:
        """The night whose batch was live when this one began, if its lists are still there."""
        pin = self.request.live_batch
        live = self.of_batch(pin.batch_id) if pin and pin.batch_id != self.batch_id else None
        return live if live and live.is_done("score") else None

    @property
    def catalog(self) -> Catalog:
        """The catalog as it was when the night began."""
        return self.request.catalog

    @property
    def threads(self) -> int:
        """Threads for training and scoring."""
        return self.settings.threads or os.cpu_count() or 1

    @property
    def engine(self) -> "Engine":
        """What fits and ranks tonight's models."""
        from recjobs.core.model.engine import Engine

        return Engine(self.threads)

    def known_at_cutoff(self, train: Interactions) -> "Knowledge":
        """What an evaluation may know of users and items: nothing that is only known tonight."""
        from recjobs.core.lists.maker import Knowledge

        return Knowledge.of_train(train, self.users()["segment"].to_pylist())

    @property
    def view(self) -> str:
        """The deciding view: what a user would have been served."""
        return self.catalog.view

    @property
    def after_days(self) -> float | None:
        """How long a seen item is kept out; None: for ever, or not at all."""
        return self.catalog.after_days

    def champion_model(self) -> "StoredModel":
        """The pinned champion's model. Raises ModelRefused unless it is the very file that was registered."""
        assert self.request.champion is not None
        return registered(self.store, self.request.champion).refit_model()

    def aligned_champion(self) -> "Factors":
        """The pinned champion's factors in tonight's order of users and items; rows it does not know are zeros."""
        from recjobs.core.model.als import Factors, aligned

        model = self.champion_model()
        return Factors(
            aligned(model.factors.user_factors, model.user_ids, self.ids("users")),
            aligned(model.factors.item_factors, model.item_ids, self.ids("items")),
        )

    def verdict(self) -> Verdict:
        """The gate's verdict, with the answer of the person who was asked."""
        verdict = self.gate_verdict()
        answer = self.answer() if is_open(verdict, self.catalog.gate.approval) else None
        return decided(verdict, None if answer is None or answer.late else answer)

    def registry(self) -> Registry:
        """This catalog's runs and model versions in MLflow."""
        return registry(self.settings, self.catalog)

    def mlflow_run(self, registry: Registry) -> str:
        """The id of this night's MLflow run, with its recipe, metrics and tags written."""
        request, run_id = self.request, registry.run_of(self.batch_id)
        metrics = {
            ".".join((row["model"], row["view"], row["metric"])): row["value"]
            for row in self.evaluation().metrics
            if row["segment"] == "all" and row["value"] is not None
        }
        verdict = self.verdict()
        registry.log(
            run_id,
            params={**self.catalog.recipe.to_json(), "seed": request.seed, "as_of": request.as_of.isoformat()},
            metrics=metrics | {k: v for k, v in verdict.to_json().items() if isinstance(v, int | float)},
            tags={
                "verdict": verdict.verdict,
                "reason": verdict.reason,
                "input_hash": request.input["hash"],
                "code_version": request.code_version,
            },
        )
        return run_id

    def database(self, role: Role) -> Database:
        """Postgres as one role, with this catalog's schema as the search path."""
        return database(self.settings, self.catalog, role)


def registered(store: ArtifactStore, pin: ChampionPin) -> Handovers:
    """The night that a champion's model was fit in. Raises ModelRefused unless it is the one that was registered."""
    files = store.night(pin.batch_id)
    if files.manifest("refit").get("model.npz") != pin.sha256:
        raise ModelRefused(
            f"{files.where('refit', 'model.npz')} is not the model registered as version {pin.model_version}"
        )
    return Handovers(files)


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
    """Move MLflow's alias champion. The database is the truth: the next night moves an alias that lags, so a registry
    that does not answer fails nothing.

    Returns {"alias_mismatch": 1} where the alias named another version than `was`, the champion until now, else 0;
    nothing where the registry does not answer.
    """
    try:
        return {"alias_mismatch": int(registry(settings, catalog).set_champion(champion) != was)}
    except SystemAway as error:
        logging.getLogger(__name__).warning("MLflow's alias champion was not moved: %s", error)
        return {}


def begun(store: ArtifactStore) -> list[Handovers]:
    """Every night that got as far as a request, in order."""
    return [Handovers(files) for files in store.nights() if files.is_done("begin")]


def validated_nights(catalog: Catalog, batch_id: str | None = None) -> Iterator[Handovers]:
    """The nights whose input was validated, accepted or not, newest first; with a batch_id no other than that one."""
    store = ArtifactStore(load_settings().artifacts, catalog.name)
    nights = [store.night(batch_id)] if batch_id else reversed(store.nights())
    return (Handovers(files) for files in (night.with_refused() for night in nights) if files.is_done("validate"))


def validated(catalog: Catalog, batch_id: str | None = None) -> Handovers:
    """The first of `validated_nights`. Raises Misuse when there is none."""
    if batch_id is not None:
        parse_batch_id(batch_id)
    night = next(validated_nights(catalog, batch_id), None)
    if night is None:
        which = f"{batch_id} was not" if batch_id else "no night was"
        raise Misuse(f"catalog {catalog.name}: {which} validated yet; see `recjobs data list`")
    return night


def code_version(root: Path = ROOT) -> str:
    """The package's version and a hash of what decides a night's result: Python, templates, SQL and locked packages.

    Equal code, equal string, wherever it lies. SQL that only the web app or a person runs does not count.
    """
    patterns = ("recjobs/**/*.py", "recjobs/**/*.jinja", "sql/**/*.sql", "requirements.txt")
    paths = {path.relative_to(root).as_posix(): path for pattern in patterns for path in root.glob(pattern)}
    digest = hashlib.sha256()
    for name, path in sorted(paths.items()):
        if not name.startswith(("sql/examples.sql", "sql/queries/webapp/")):
            digest.update(name.encode() + b"\0" + path.read_bytes())
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
