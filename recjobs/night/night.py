"""A night as its steps see it: its request, pinned when it began, and what earlier steps have written."""

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.mlflow_registry import Registry
from recjobs.adapters.postgres import Session
from recjobs.catalog.file import Catalog
from recjobs.catalog.names import Named
from recjobs.config import ROOT, Settings, load_settings
from recjobs.core.batch_ids import parse_batch_id
from recjobs.core.evaluation.approval import decided, is_open
from recjobs.core.evaluation.verdict import Verdict
from recjobs.core.rows.instants import AFTER_NO_TIME, microseconds
from recjobs.core.rows.interactions import RowBlocks
from recjobs.errors import Misuse, ModelRefused, SystemAway
from recjobs.night.database import database as database
from recjobs.night.handovers import Handovers
from recjobs.night.request import ChampionPin, Request

if TYPE_CHECKING:
    from recjobs.core.lists.group_limits import GroupLimits
    from recjobs.core.lists.maker import Knowledge
    from recjobs.core.model.als import Factors
    from recjobs.core.model.engine import Engine
    from recjobs.core.model.stored import StoredModel


@dataclass(frozen=True)
class Night(Handovers):
    """One night: its request, the files of its steps so far, and access to the catalog's other nights."""

    request: Request
    store: ArtifactStore
    settings: Settings

    @classmethod
    def open(cls, catalog: Named, batch_id: str) -> "Night":
        """Open a night that has begun. Raises ModelRefused if it has not."""
        parse_batch_id(batch_id)
        settings = load_settings()
        store = ArtifactStore(settings.artifacts, catalog.name)
        night = Handovers(store.night(batch_id))
        return cls(night.files, Request.model_validate(night.stored_request()), store, settings)

    def of_batch(self, batch_id: str) -> Handovers:
        """The files of another night of the catalog."""
        return Handovers(self.store.night(batch_id))

    def base(self) -> Handovers | None:
        """The night to whose accepted interactions tonight's increment is added."""
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
    def now(self) -> int:
        """The instant that ages count from, in microseconds: as_of, or one after that of all rows without times."""
        return microseconds(self.request.as_of) if self.catalog.has_times else AFTER_NO_TIME

    @property
    def engine(self) -> "Engine":
        """The engine that ranks and folds in, on the processor."""
        from recjobs.core.model.engine import Engine

        return Engine(self.threads)

    @property
    def threads(self) -> int:
        """Threads for fitting and ranking."""
        return self.settings.threads or os.cpu_count() or 1

    def fitting_engine(self) -> "Engine":
        """The engine that fits tonight's models. Raises BadConfiguration if `engine` or `use_gpu` asks for what is not
        there."""
        if self.catalog.engine == "spark":
            from recjobs.night.spark_fit import engine_on_spark

            return engine_on_spark(self)
        from recjobs.night.devices import engine_of

        return engine_of(self.catalog.use_gpu, self.threads)

    def known_at_cutoff(self, train: RowBlocks) -> "Knowledge":
        """What an evaluation may know of users and items: what was known at the cutoff."""
        from recjobs.core.lists.maker import Knowledge

        segments = self.users()["segment"].to_pylist()
        return Knowledge.of_train(train, segments, self.group_limits(), self.catalog.active_days)

    def group_limits(self) -> "GroupLimits | None":
        """What lists may hold of one product or category; None: anything."""
        from recjobs.core.lists.group_limits import GroupLimits

        variants_by = self.catalog.items.variants_by if self.catalog.items else None
        if variants_by is None and self.catalog.top_n.max_per_category is None:
            return None
        return GroupLimits.of(self.items(), variants_by, self.catalog.top_n.max_per_category)

    def champion_model(self) -> "StoredModel":
        """The pinned champion's model. Raises ModelRefused unless it is the registered file."""
        assert self.request.champion is not None  # noqa: S101 - for mypy: callers look first
        return registered(self.store, self.request.champion).refit_model()

    def refit_pin(self, model_version: str, sha256: str) -> ChampionPin:
        """Tonight's model as the champion that it may become."""
        return ChampionPin(
            model_version=model_version,
            batch_id=self.batch_id,
            uri=self.files.where("refit", "model.npz"),
            sha256=sha256,
            data_cutoff=self.request.as_of,
            recipe=self.catalog.recipe.to_json(),
        )

    def aligned_champion(self) -> "Factors":
        """The pinned champion's factors in tonight's order of users and items; rows it does not know are zeros."""
        from recjobs.core.model.als import Factors, aligned

        model = self.champion_model()
        return Factors(
            aligned(model.factors.user_factors, model.user_ids, self.ids("users")),
            aligned(model.factors.item_factors, model.item_ids, self.ids("items")),
        )

    def verdict(self) -> Verdict:
        """The gate's verdict, with the answer to it if approval is required."""
        verdict = self.gate_verdict()
        answer = self.answer() if is_open(verdict, self.catalog.gate.approval) else None
        return decided(verdict, None if answer is None or answer.late else answer)

    def metrics(self) -> dict[str, float]:
        """What the evaluation and the gate measured of all users, by the name that MLflow has it under."""
        rows = self.evaluation().metrics + self.worth().get("rows", []) + self.goods()
        measured = {
            ".".join((row["model"], row["view"], row["metric"])): row["value"]
            for row in rows
            if row["segment"] == "all" and row["value"] is not None
        }
        return measured | {k: v for k, v in self.verdict().to_json().items() if isinstance(v, int | float)}

    def log(self, registry: Registry, *, metrics: bool = True) -> str:
        """Log recipe, tags and metrics to this night's MLflow run, and return its id.

        metrics: False before a model is registered: MLflow would give it those that its run has already, and ask for
        each of them by itself.
        """
        request, run_id = self.request, registry.run_of(self.batch_id)
        verdict = self.verdict()
        registry.log(
            run_id,
            params={**self.catalog.recipe.to_json(), "seed": request.seed, "as_of": request.as_of.isoformat()},
            metrics=self.metrics() if metrics else {},
            tags={
                "verdict": verdict.verdict,
                "reason": verdict.reason,
                "input_hash": request.input["hash"],
                "code_version": request.code_version,
                "kernel": "; ".join(self.kernels()),
            },
        )
        return run_id


def registered(store: ArtifactStore, pin: ChampionPin) -> Handovers:
    """The night of a champion's model. Raises ModelRefused unless the file is the registered one."""
    files = store.night(pin.batch_id)
    if files.manifest("refit").get("model.npz") != pin.sha256:
        raise ModelRefused(
            f"{files.where('refit', 'model.npz')} is not the model registered as version {pin.model_version}"
        )
    return Handovers(files)


def registered_version(publisher: Session, pin: ChampionPin) -> str:
    """Register a model in Postgres, unless it is registered, and return its version: another than the pin's where that
    is another model's, as after Postgres was restored or MLflow began to count from 1 again."""
    version: str = publisher.call(
        "register_model_version",
        version=pin.model_version,
        batch=pin.batch_id,
        model_uri=pin.uri,
        model_sha256=pin.sha256,
        cutoff=pin.data_cutoff,
        model_recipe=pin.recipe,
    )
    return version


def registry(catalog: Named) -> Registry:
    """A catalog's runs and model versions in MLflow."""
    settings = load_settings()
    uri = settings.mlflow_tracking_uri or f"sqlite:///{settings.state}/mlflow.db"
    # the underscore: no catalog can be called that
    return Registry(uri, f"{settings.artifacts}/_mlflow", catalog.name)


def let_alias_follow(catalog: Named, was: dict[str, Any] | None = None) -> dict[str, int]:
    """Move MLflow's alias `champion` to the champion, whose batch and hash MLflow's version must have, and register it
    there again if it is lost. Postgres is authoritative: if MLflow does not answer, the next night moves the alias.

    was: the champion so far. Returns alias_mismatch: 1 if the alias named another version; empty without answer.
    """
    log, runs = logging.getLogger(__name__), registry(catalog)
    try:
        with database(catalog, "publisher").connect() as session:
            row = session.row("champion")
        before = runs.version_of(was["batch_id"], was["sha256"]) or "lost" if was else None
        version = None
        if row:
            champion = ChampionPin(**row)
            try:
                version = _registered_again(runs, champion, catalog)
            except ModelRefused as error:
                log.warning("MLflow has no version of the champion %s any more: %s", champion.model_version, error)
        return {"alias_mismatch": int(runs.set_champion(version) != before)}
    except SystemAway as error:
        log.warning("MLflow's alias champion was not moved: %s", error)
        return {}


def _registered_again(runs: Registry, champion: ChampionPin, catalog: Named) -> str:
    if known := runs.version_of(champion.batch_id, champion.sha256):
        return known
    night = registered(ArtifactStore(load_settings().artifacts, catalog.name), champion)
    content = night.files.load_bytes("refit", "model.npz").to_pybytes()
    tags = {"model_version": champion.model_version}
    return runs.register(runs.run_of(champion.batch_id), champion.batch_id, content, champion.sha256, tags)


def begun_nights(store: ArtifactStore) -> list[Handovers]:
    """Every night with a request, in order."""
    return [Handovers(files) for files in store.nights() if files.is_done("begin")]


def validated_nights(catalog: Named, batch_id: str | None = None) -> Iterator[Handovers]:
    """The nights whose input was validated, accepted or not, newest first; with a batch_id only that one."""
    store = ArtifactStore(load_settings().artifacts, catalog.name)
    nights = [store.night(batch_id)] if batch_id else reversed(store.nights())
    return (Handovers(files) for files in (night.with_refused() for night in nights) if files.is_done("validate"))


def validated_night(catalog: Named, batch_id: str | None = None) -> Handovers:
    """The night that was validated last, or that of `batch_id`. Raises Misuse if there is none."""
    if batch_id is not None:
        parse_batch_id(batch_id)
    # Not the newest batch id: truncated input ends earlier than that of the night before it.
    nights = validated_nights(catalog, batch_id)
    night = max(nights, key=lambda night: night.files.ended_at("validate"), default=None)
    if night is None:
        which = f"{batch_id} was not" if batch_id else "no night was"
        raise Misuse(f"catalog {catalog.name}: {which} validated yet; see `recjobs data list`")
    return night


def code_version(root: Path = ROOT) -> str:
    """The package's version and a hash of what decides a night's result: Python, C, templates, SQL and locked packages.

    The same in every checkout of the same code. SQL that only the web app or a person runs does not count.
    """
    patterns = ("recjobs/**/*.py", "recjobs/**/*.c", "recjobs/**/*.jinja", "sql/**/*.sql", "requirements.txt")
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
    """The folder that relative source paths start from."""
    assert settings.data is not None  # noqa: S101 - load_settings fills it
    return settings.data
