"""Check a catalog's input: read, validate and account for it as a night would, and leave nothing behind."""

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow.compute as pc

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.catalog.file import Catalog
from recjobs.config import Settings, load_settings
from recjobs.core.batch_ids import batch_id_of, parse_as_of, parse_batch_id
from recjobs.core.evaluation.split import HOLDOUT_SHARE, choose_cutoff, split_at, split_at_random
from recjobs.core.rows.fit import Fit
from recjobs.core.rows.instants import instant
from recjobs.core.rows.place_account import PlaceAccount
from recjobs.core.rows.reason_codes import REASONS
from recjobs.core.rows.volume import PastNight
from recjobs.errors import BadConfiguration, InputLate, RecjobsError, Refused, SystemAway
from recjobs.night.as_of import after_newest, check_bounds
from recjobs.night.inputs import files_of, pinned
from recjobs.night.night import Night, begun_nights, database
from recjobs.night.request import Request
from recjobs.night.strange_input import fit_sentence
from recjobs.steps import extract, validate

SAMPLE_ROWS = 1_000_000
"""About so many rows of each source are read, unless all are asked for."""
N_EXAMPLES = 3
N_ROWS = 5


@dataclass(frozen=True)
class Checked:
    """result: what is shown; error: why a night would stop, which the command raises after that; None: it would run."""

    result: dict[str, Any]
    error: RecjobsError | None


def run(
    catalog: Catalog, *, as_of: str | None = None, overrides: dict[str, Any] | None = None, whole: bool = False
) -> Checked:
    """Return the account of the input, its findings, and what a night would do with it.

    Writes to a temporary folder alone. whole: read all rows; else a sample of each source with more than SAMPLE_ROWS.
    Only of all rows are volume, freshness, repetition and drift checked, against earlier nights where Postgres answers.
    Raises what a night raises where the input cannot be read at all.
    """
    settings, effective = load_settings(), catalog.with_overrides(overrides or {})
    with tempfile.TemporaryDirectory(prefix="recjobs-check-") as folder:
        night, is_sample = _extracted(effective, settings, folder, as_of, whole)
        error: RecjobsError | None = None
        try:
            validate.run(night)
        except (Refused, InputLate) as refusal:
            error = refusal
        night = _with(night, files=night.files.with_refused())
        if error and "findings.json" not in night.files.manifest("validate"):
            raise error
        return Checked(_result(night, is_sample, error), error)


def _extracted(catalog: Catalog, settings: Settings, folder: str, as_of: str | None, whole: bool) -> tuple[Night, bool]:
    """Return the night with its rows, and whether those are a sample."""
    began_at = datetime.now(UTC).replace(microsecond=0)
    at = parse_as_of(as_of) if as_of else began_at
    places, queries = catalog.inputs, f"{folder}/_inputs"
    inputs = {key: files_of(catalog, settings, key, place, queries, whole=whole) for key, place in places.items()}
    request = Request(
        batch_id=batch_id_of(began_at, 1),
        as_of=at,
        began_at=began_at,
        overrides={},
        force=None,
        publish=False,
        seed=catalog.seed,
        champion=None,
        input=pinned(inputs),
        code_version="",
        catalog=catalog,
    )
    files = ArtifactStore(folder, catalog.name).night(request.batch_id)
    night = Night(files, request, ArtifactStore(settings.artifacts, catalog.name), settings)
    if extract.copy(night, inputs, None if whole else SAMPLE_ROWS).get("sampled"):
        # Its newest row is hardly the newest of all.
        return _with(night, catalog=catalog.model_copy(update={"live": False})), True
    if not whole:  # the hashes are of beginnings so far
        inputs |= {
            key: files_of(catalog, settings, key, place, queries)
            for key, place in places.items()
            if place.path is not None
        }
    if as_of:
        check_bounds(catalog, inputs, at, began_at)
    elif catalog.has_times and not catalog.live:
        at = after_newest(catalog, inputs, began_at)
    base = _base(night.store, at) if catalog.mode == "increment" else None
    return _with(night, as_of=at, input=pinned(inputs), history=_history(catalog, at), base=base), False


def _history(catalog: Catalog, at: datetime) -> tuple[PastNight, ...]:
    """The earlier accepted nights, as a night finds them; none without a database, a schema or an answer."""
    with suppress(BadConfiguration, SystemAway), database(catalog, "publisher").connect() as session:
        return tuple(PastNight(**row) for row in session.rows("past_inputs", as_of=at))
    return ()


def _base(store: ArtifactStore, at: datetime) -> str | None:
    nights = [night.batch_id for night in begun_nights(store) if night.is_done("validate")]
    return next((batch_id for batch_id in reversed(nights) if parse_batch_id(batch_id)[0] < at), None)


def _with(night: Night, **changes: Any) -> Night:
    files = changes.pop("files", night.files)
    return Night(files, night.request.model_copy(update=changes), night.store, night.settings)


def _result(night: Night, is_sample: bool, error: RecjobsError | None) -> dict[str, Any]:
    account = night.input_account()
    fits = night.files.load_json("validate", "findings.json")["fit"]
    at = night.interactions().occurred_at
    has_period = at.size and night.catalog.has_times
    return {
        "catalog": night.catalog.name,
        "as_of": f"{night.request.as_of:%Y-%m-%d %H:%M:%S}",
        "is_sample": is_sample,
        "counts": account.counts,
        "period": {"oldest": _text(at.min()), "newest": _text(at.max())} if has_period else {},
        "has_times": night.catalog.has_times,
        "holdout": {} if is_sample or not at.size else _holdout(night),
        "examples": _examples(night),
        "findings": account.findings,
        "places": {what: PlaceAccount.of_json(one).sentence for what, one in account.places.items()},
        "fit": {place: fit_sentence(Fit(**of), place[:-1]) for place, of in fits.items()},
        "rows": _rows(night),
        "earlier_nights": len(night.request.history),
        "night": "would run" if error is None else f"would be {error.outcome}",
        "why": None if error is None else str(error),
    }


def _holdout(night: Night) -> dict[str, Any]:
    """How many users a first night would measure models on, and how many of those the model would know."""
    catalog, rows, what = night.catalog, night.interactions(), f"the last {night.catalog.holdout_days:g} days"
    if catalog.has_times:
        cutoff = choose_cutoff(rows, night.request.as_of, None, catalog.holdout_days, catalog.min_holdout_users)
        train, holdout = split_at(rows, cutoff.at)
    else:
        what = f"{HOLDOUT_SHARE:.0%} of the pairs, at random"
        train, holdout = split_at_random(rows, night.ids("users"), night.ids("items"), night.request.seed)
    asked = np.unique(holdout.user_idx)
    known = int(np.isin(asked, train.user_idx).sum())
    return {"what": what, "users": int(asked.size), "known_users": known}


def _examples(night: Night) -> dict[str, list[str]]:
    """By reason code, some quarantined rows: the value of the column at fault, and where it stands."""
    rows, found = night.rejected_rows(), dict[str, list[str]]()
    for reason in pc.unique(rows["reason"]).to_pylist():
        column = REASONS[reason].column
        first = rows.filter(pc.equal(rows["reason"], reason)).slice(0, N_EXAMPLES).to_pylist()
        found[reason] = [
            f"{'' if column not in row else repr(row[column])[:60] + ' in '}{row['source']} row {row['row']}"
            for row in first
        ]
    return found


def _rows(night: Night) -> list[dict[str, Any]]:
    """Some interactions as they were understood, of users spread over all."""
    rows, users, items = night.interactions(), night.users(), night.items()
    places = np.unique(np.linspace(0, len(rows) - 1, N_ROWS).astype(int)).tolist() if len(rows) else []
    shown = []
    for place in places:
        item = items.slice(int(rows.item_idx[place]), 1).to_pylist()[0]
        one = {"user_id": users["user_id"][int(rows.user_idx[place])].as_py(), "item_id": item["item_id"]}
        if night.catalog.has_times:
            one["occurred_at"] = _text(rows.occurred_at[place])
        one["weight"] = f"{rows.weight[place]:g}"
        if rows.kind[place] >= 0:
            one["kind"] = rows.kinds[rows.kind[place]]
        shown.append(one | {name: item[name] for name in ("title", "categories", "price") if item[name]})
    return shown


def _text(at: int) -> str:
    return f"{instant(at):%Y-%m-%d %H:%M:%S}"
