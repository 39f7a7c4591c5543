"""Remove a catalog whose file is gone: its schema, its artifacts, and what MLflow has of it."""

from dataclasses import dataclass
from datetime import UTC
from typing import Any

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.postgres import Database, Session
from recjobs.catalog.files import catalog_names
from recjobs.catalog.names import CatalogName
from recjobs.config import load_settings
from recjobs.errors import Locked, Misuse
from recjobs.night import audit
from recjobs.night.catalogs import is_name
from recjobs.night.night import database, registry


@dataclass(frozen=True)
class _Stores:
    """The two folders of a catalog in the artifact store: its nights, and MLflow's files."""

    nights: ArtifactStore
    mlflow: ArtifactStore


def run(name: str, *, dry_run: bool, ignore_running: bool = False) -> dict[str, Any]:
    """Return what the catalog has, by place; without `dry_run` it is removed.

    The schema goes first, in one transaction: from then on nothing serves the catalog and no night can publish. What a
    killed run leaves, the next one finds and removes. ignore_running: remove it although a step is noted as running.

    Raises Misuse if nothing is there, the catalog's file still is, or a view of another schema reads this one; Locked
    while a night runs, or a process loads, publishes, rolls back or prunes.
    """
    settings = load_settings()
    if not is_name(name):
        raise Misuse(f"{name!r} cannot be a catalog: small letters, digits and `_`, a letter first")
    catalog = CatalogName(name)
    owner, runs = database(catalog, "owner"), registry(catalog)
    stores = _Stores(ArtifactStore(settings.artifacts, name), ArtifactStore(settings.artifacts, f"_mlflow/{name}"))
    has_file = name in catalog_names(settings)
    with Database(owner.url).connect() as session:
        has_schema = name in {row["catalog"] for row in session.rows("catalog_schemas")}
    result: dict[str, Any] = {
        "catalog": name,
        "dry_run": dry_run,
        "schema": _contents(owner) if has_schema else None,
        "artifacts": _size(stores.nights),
        "mlflow": runs.contents() | _size(stores.mlflow),
    }
    if not has_schema and not any((*result["artifacts"].values(), *result["mlflow"].values())):
        raise Misuse(f"there is nothing of a catalog {name!r}: no schema, no artifacts, nothing in MLflow")
    if dry_run:
        return result | {"file": f"{settings.catalogs}/{name}.yaml"} if has_file else result
    if has_file:
        raise Misuse(
            f"{settings.catalogs}/{name}.yaml is still there, and its next night would make the catalog again: take "
            "the file away first, here and where the DAGs run"
        )
    if has_schema:
        _drop(owner, name, ignore_running)
    result["mlflow_left"] = runs.remove()
    stores.mlflow.remove_all()
    stores.nights.remove_all()
    return result


def _contents(owner: Database) -> dict[str, Any]:
    with owner.connect() as session:
        session.rows("become_owner")
        return dict(session.row("catalog_contents") or {})


def _size(store: ArtifactStore) -> dict[str, int]:
    files, n_bytes = store.size()
    return {"files": files, "bytes": n_bytes}


def _drop(owner: Database, name: str, ignore_running: bool) -> None:
    with owner.connect() as session:
        session.rows("become_owner")
        with session.transaction():
            session.call("take_turn")
            if not session.call("lock_loading"):
                raise Locked(f"another process is loading a batch of {name} right now")
            if not session.call("lock_pruning"):
                raise Locked(f"another process is pruning {name} right now")
            if not ignore_running:
                _require_no_night(session, name)
            if views := [row["name"] for row in session.rows("dependent_views")]:
                raise Misuse(
                    f"{', '.join(views)}: reads the schema {name}, and would be dropped with it; drop it first"
                )
            session.rows("drop_catalog", {"catalog": name})
            audit.note(session, "remove_catalog", name)


def _require_no_night(session: Session, name: str) -> None:
    if step := session.row("steps_in_progress"):
        raise Locked(
            f"{step['step']} of night {step['batch_id']} of {name} is noted as running since "
            f"{step['started_at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC: wait for it, or stop it; if its "
            "process was killed, add --ignore-running"
        )
