"""Begin a night: pin its request, its input files and the champion it is compared with."""

import logging
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from recjobs import NIGHT
from recjobs.adapters import migrations
from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.catalog.file import Catalog, sets_recipe
from recjobs.config import Settings, load_settings
from recjobs.core.batch_ids import batch_id_of, parse_as_of, parse_batch_id
from recjobs.core.evaluation.approval import Answer
from recjobs.core.model.kernel import kernel
from recjobs.core.recipe import Recipe
from recjobs.core.rows.volume import PastNight
from recjobs.core.search.challengers import challenger_to_train
from recjobs.errors import BadConfiguration, DataRefused, Misuse, ModelRefused, Superseded
from recjobs.night.as_of import after_newest, check_bounds
from recjobs.night.handovers import Handovers
from recjobs.night.inputs import inputs_of, pinned
from recjobs.night.night import begun_nights, code_version, database, registered
from recjobs.night.plan import note, require_room
from recjobs.night.request import ChallengerPin, ChampionPin, LivePin, Request

log = logging.getLogger(__name__)


def run(
    catalog: Catalog,
    *,
    as_of: str | None = None,
    overrides: dict[str, Any] | None = None,
    force: str | None = None,
    publish: bool = True,
    seed: int | None = None,
) -> dict[str, Any]:
    """Write `request.json`, or return the earlier attempt with an equal request, input, code and champion.

    Returns batch_id, resumed (that attempt is unfinished) and nothing_new (it is finished: there is nothing to do).
    Raises DataRefused if a source is missing, Misuse for an invalid as_of or override, BadConfiguration if the night
    needs more memory or disk than there is, DiskFull if too little is free. force: go on all the same, and although
    as_of lies too far ahead, and begin again without what is lost: the champion's model, the interactions of earlier
    nights.
    """
    settings = load_settings()
    effective = catalog.with_overrides(overrides or {})
    if force is not None and not force.strip():
        raise Misuse("--force needs a reason: it is written to the publish log")
    began_at = datetime.now(UTC).replace(microsecond=0)
    inputs = inputs_of(effective, settings)
    today = effective.live and not as_of
    at = parse_as_of(as_of) if as_of else began_at
    if not as_of and effective.has_times and not effective.live:
        at = after_newest(effective, inputs, began_at)
    store = ArtifactStore(settings.artifacts, effective.name)
    if as_of and force is None:
        check_bounds(effective, inputs, at, began_at)
    if publish and (settings.owner_url or settings.database_url):
        # A new catalog needs no setup: its first night creates its schema.
        migrations.migrate_catalog(database(effective, "owner"), effective.description)
    champion, live_batch, history, challengers, recorded = (
        _load_state(settings, effective, at) if publish else (None, None, (), [], {})
    )
    lost = _lost_model(store, champion)
    if lost and force is not None:
        log.warning("catalog %s begins again without a champion: %s", effective.name, lost)
        champion = None
    challenger: ChallengerPin | None = None
    if not sets_recipe(overrides or {}) and (
        row := challenger_to_train(challengers, effective.recipe, champion.data_cutoff if champion else None, at)
    ):
        challenger = ChallengerPin(**{key: row[key] for key in ChallengerPin.model_fields})
        effective = effective.with_recipe(Recipe.from_json(challenger.recipe))

    earlier_nights = [(*parse_batch_id(night.batch_id), night) for night in begun_nights(store)]
    named = [*recorded, *(night.batch_id for _, _, night in earlier_nights)]
    attempts = [attempt for instant, attempt in map(parse_batch_id, named) if instant == at]
    request = Request(
        batch_id=batch_id_of(at, max(attempts, default=0) + 1),
        as_of=at,
        began_at=began_at,
        overrides=overrides or {},
        force=force,
        publish=publish,
        seed=effective.seed if seed is None else seed,
        champion=champion,
        challenger=challenger,
        live_batch=live_batch,
        history=history,
        base=_base(earlier_nights, at, history, force) if effective.mode == "increment" else None,
        input=pinned(inputs),
        code_version=code_version(),
        kernel=kernel(),
        catalog=effective,
    )
    approval: Answer | None = None
    for instant, _, earlier in reversed(earlier_nights):
        # Without an as_of a live source's night is as of now: one of the same day is the same night.
        is_other = instant.date() != at.date() if today else instant != at
        if not (as_of or effective.has_times or effective.live):
            is_other = False  # as of now, and nothing tells one day from another but the input
        known = recorded.get(earlier.batch_id)
        if is_other or (instant == at and known and known["is_pruned"]):
            continue
        stored = earlier.stored_request()
        if stored["publish"] != publish:  # a night with --no-publish does not separate a night from its rerun
            continue
        models = {_model_of(stored["champion"])}
        if earlier.is_done("refit") and earlier.chosen_model().source == "refit":
            models.add((earlier.batch_id, str(earlier.files.manifest("refit").get("model.npz"))))
        if _model_of(champion.model_dump() if champion else None) in models and request.is_same_as(stored):
            finished = earlier.is_done("report")
            answer = earlier.answer() if finished else None
            if answer and answer.late and answer.approved:
                approval = answer  # it came after the refit had used the champion: the night begins anew
                break
            if publish and not _is_known(earlier, known):
                log.warning("Postgres does not have %s as its folder does: the night begins anew", earlier.batch_id)
                approval = earlier.answer()
                break
            if finished or not lost or champion is None:
                if not finished:
                    ended = [step for step in NIGHT if earlier.is_done(step)]
                    plan = require_room(effective, settings, inputs, at, publish=publish, force=force, done=ended)
                    note(earlier, plan)
                return {"batch_id": earlier.batch_id, "resumed": not finished, "nothing_new": finished}
        break
    if lost and champion:
        raise ModelRefused(
            f"{lost}. It is the champion, version {champion.model_version}: put that file back, set RECJOBS_ARTIFACTS "
            "right, `recjobs promote` another version, or begin again without a champion: --force REASON"
        )
    if (
        publish
        and force is None
        and live_batch
        and parse_batch_id(live_batch.batch_id) > parse_batch_id(request.batch_id)
    ):
        cut = "" if as_of else ". Its newest row is older than that batch: if the export is of today, it looks cut"
        raise Superseded(
            f"{request.batch_id} would be older than the live batch {live_batch.batch_id}: to look at a past date say "
            "--no-publish, to publish it all the same --force REASON" + cut
        )
    plan = require_room(effective, settings, inputs, at, publish=publish, force=force)
    night = Handovers(store.night(request.batch_id))
    if approval:
        with night.writing("approve") as files:  # first: a night that has begun goes on as it was begun
            files.save_json("answer.json", asdict(replace(approval, late=False)))
    with night.writing("begin") as files:
        files.save_json("request.json", request.model_dump(mode="json"))
    note(night, plan)
    return {"batch_id": request.batch_id, "resumed": False, "nothing_new": False}


def _load_state(
    settings: Settings, catalog: Catalog, at: datetime
) -> tuple[ChampionPin | None, LivePin | None, tuple[PastNight, ...], list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return champion, live batch, earlier accepted nights, challengers (newest first), and by batch_id what is known
    of each attempt at a night of the same day."""
    with database(catalog, "publisher").connect() as session:
        champion, live, past = session.row("champion"), session.row("live_batch"), session.rows("past_inputs", as_of=at)
        challengers = session.rows("challengers", as_of=at)
        attempts = {row["batch_id"]: row for row in session.rows("known_attempts", as_of=at)}
    return (
        ChampionPin(**champion) if champion else None,
        LivePin(**{key: live[key] for key in LivePin.model_fields}) if live else None,
        tuple(PastNight(**row) for row in past),
        challengers,
        attempts,
    )


def _lost_model(store: ArtifactStore, champion: ChampionPin | None) -> ModelRefused | None:
    """Return why the champion's model cannot be used, if it is missing, damaged or another one."""
    try:
        if champion:
            registered(store, champion).files.load_bytes("refit", "model.npz")
    except ModelRefused as error:
        return error
    except OSError as error:
        raise BadConfiguration(f"{store.place} cannot be read ({error}); see to RECJOBS_ARTIFACTS") from None
    return None


def _model_of(pin: dict[str, Any] | None) -> tuple[str, str] | None:
    """Return the identity of a champion: its version is only a label."""
    return (str(pin.get("batch_id")), str(pin.get("sha256"))) if pin else None


def _is_known(night: Handovers, known: dict[str, Any] | None) -> bool:
    """Return whether Postgres has what a night's finished steps told it. After a restore it may not."""
    if night.is_done("publish"):
        published = known["published"] if known else None
        checksum = night.files.load_json("publish", "published.json").get("checksum", published)
        return published is not None and bool(published == checksum)
    return not night.is_done("validate") or bool(known and known["is_recorded"])


def _base(
    nights: list[tuple[datetime, int, Handovers]], at: datetime, history: tuple[PastNight, ...], force: str | None
) -> str | None:
    """Return the latest earlier batch with accepted input, published or not.

    Raises DataRefused if it was pruned: Postgres knows a later one, or only nights from `at` on are left. force: then
    return None, and tonight's rows are all there is.
    """
    accepted = [(as_of, night.batch_id) for as_of, _, night in nights if night.is_done("validate")]
    earlier = [(as_of, batch_id) for as_of, batch_id in accepted if as_of < at]
    if (history and (not earlier or earlier[-1][0] < history[0].as_of)) or (accepted and not earlier):
        missing = history[0].batch_id if history else "any night"
        gone = (
            f"the interactions accepted before {at:%Y-%m-%d %H:%M} UTC are gone (those of {missing}: pruned, or in "
            f"other RECJOBS_ARTIFACTS), and this increment is added to them"
        )
        if force is None:
            raise DataRefused(
                f"{gone}; put that night's folder back, or ask for a night after "
                f"{accepted[0][1] if accepted else 'one that is kept'}, or begin again with what the sources hold now: "
                "--force REASON"
            )
        log.warning("%s: the night begins again with what the sources hold now", gone)
        return None
    return earlier[-1][1] if earlier else None
