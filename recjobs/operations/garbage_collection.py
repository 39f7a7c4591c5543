"""Garbage collection of the artifact store: which files of old nights and studies nothing needs any more."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from recjobs.adapters.artifact_store import INPUTS, STUDIES, ArtifactStore
from recjobs.adapters.postgres import Session
from recjobs.adapters.records import Records
from recjobs.catalog.file import Catalog
from recjobs.catalog.names import Named
from recjobs.config import Settings
from recjobs.core.retention import ALL, Folder, Removal, removals
from recjobs.errors import ModelRefused
from recjobs.night.handovers import Handovers

_INPUT = ("begin", "validate")
"""The steps of a night that a later increment or a study reads."""


@dataclass(frozen=True)
class Garbage:
    """What may be removed: of nights, studies and stored query results."""

    store: ArtifactStore
    nights: list[Removal]
    studies: list[Removal]
    inputs: list[Removal]

    def to_json(self) -> list[dict[str, Any]]:
        """Of each folder its place, the parts to remove, and their bytes."""
        places = (("", self.nights), (f"{STUDIES}/", self.studies), (f"{INPUTS}/", self.inputs))
        return [
            {
                "place": f"{self.store.place}/{within}{each.name}",
                "parts": "all" if each.whole else " ".join(each.parts),
                "bytes": each.n_bytes,
            }
            for within, of in places
            for each in of
        ]


def find_garbage(session: Session, settings: Settings, catalog: Catalog, also_pruned: set[str]) -> Garbage:
    """Return what may be removed now. also_pruned: batches about to be pruned, not yet recorded as such."""
    now = datetime.now(UTC)
    oldest = now - timedelta(days=catalog.keep.days)
    store = ArtifactStore(settings.artifacts, catalog.name)
    nights, studies = store.night_folders(), store.study_folders()
    pruned = {row["batch_id"] for row in session.rows("pruned_batches")} | also_pruned

    waiting = {row["study_id"]: ALL for row in session.rows("waiting_studies")}
    old_studies = list(removals(studies, waiting, (), oldest))
    kept_studies = {study.name for study in studies} - {study.name for study in old_studies}

    needed: dict[str, set[str]] = {}
    for batch_id, parts in (
        *needed_by_database(session, also_pruned),
        *needed_by_studies(settings, catalog, kept_studies),
        *_needed_by_unfinished(store, [n for n in nights if n.name not in pruned and n.newest and n.newest >= oldest]),
        *_needed_by_increment(store, nights),
    ):
        needed.setdefault(batch_id, set()).update(parts)
    old_nights = list(removals(nights, needed, pruned, oldest))

    begun = {night.name for night in nights} - {night.name for night in old_nights if "begin" in night.parts}
    requests = [request_of(Handovers(store.night(batch_id))) for batch_id in begun]
    files = [file for request in requests for file in request.get("input", {}).get("files", [])]
    inputs = {file["path"].rpartition("/")[2]: ALL for file in files}
    # A night that is beginning may have chosen an existing one just now.
    old_inputs = list(removals(store.input_folders(), inputs, (), min(oldest, now - timedelta(days=1))))
    return Garbage(store, old_nights, old_studies, old_inputs)


def needed_by_database(session: Session, also_pruned: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield (night, parts): all parts of batches whose lists are kept, `refit` of their models and the champion's."""
    for row in session.rows("needed_artifacts", to_prune=sorted(also_pruned)):
        yield row["batch_id"], {row["part"]}


def needed_by_studies(settings: Settings, catalog: Named, studies: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield (night, parts): the input of the nights that these searches are made on."""
    for study in studies:
        if request := Records(settings.artifacts, f"{catalog.name}/{STUDIES}/{study}").load("request.json"):
            yield request["batch_id"], set(_INPUT)


def _needed_by_unfinished(store: ArtifactStore, folders: list[Folder]) -> Iterator[tuple[str, set[str]]]:
    for folder in folders:
        night = Handovers(store.night(folder.name))
        request = {} if night.is_done("report") else request_of(night)
        if champion := request.get("champion"):
            yield champion["batch_id"], {"refit"}
        if live := request.get("live_batch"):
            yield live["batch_id"], set(ALL)
        for earlier in (request.get("base"), *(past["batch_id"] for past in request.get("history", [])[:1])):
            if earlier:
                yield earlier, set(_INPUT)


def _needed_by_increment(store: ArtifactStore, folders: list[Folder]) -> Iterator[tuple[str, set[str]]]:
    """The latest night with accepted input, published or not: the next increment is added to it."""
    for folder in reversed(folders):
        if store.night(folder.name).is_done("validate"):
            yield folder.name, set(_INPUT)
            return


def request_of(night: Handovers) -> dict[str, Any]:
    """Return the request of a night; empty if it has not begun or cannot be read."""
    try:
        return night.stored_request()
    except ModelRefused:
        return {}
