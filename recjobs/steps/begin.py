"""Begin a night: pin what it was asked to do, what it reads and which champion it is held against."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from recjobs.adapters import migrations, sources
from recjobs.adapters.artifacts import Artifacts
from recjobs.catalog import Catalog
from recjobs.config import Settings, load_settings
from recjobs.core.batch_ids import batch_id_of, parse_as_of, parse_batch_id
from recjobs.core.validation import EARLIEST, as_microseconds
from recjobs.errors import DataRefused, Misuse, Superseded
from recjobs.inputs import Source
from recjobs.night import ChampionPin, Request, code_version, data_folder, database


def run(
    catalog: Catalog,
    *,
    as_of: str | None = None,
    overrides: dict[str, Any] | None = None,
    force: str | None = None,
    publish: bool = True,
    seed: int | None = None,
) -> dict[str, Any]:
    """Write `request.json`, or find the attempt that was asked the same.

    Returns batch_id, resumed (an unfinished attempt goes on) and nothing_new (a finished one was asked the same, of the
    same input, by the same code, under the same champion: there is nothing to do).
    Raises DataRefused when a source is missing, Misuse for an impossible as_of or override.
    """
    settings = load_settings()
    effective = catalog.with_overrides(overrides or {})
    if force is not None and not force.strip():
        raise Misuse("--force needs a reason: it is written to the publish log")
    began_at = datetime.now(UTC).replace(microsecond=0)
    inputs = _inputs(effective, settings)
    at = parse_as_of(as_of) if as_of else _after_newest(effective, settings, began_at)
    if publish and (settings.owner_url or settings.database_url):
        # A new catalog is a new file and nothing else: its schema comes with its first night.
        migrations.migrate_catalog(database(settings, effective, "owner"), effective.description)
    champion = _champion(settings, effective) if publish else None

    artifacts = Artifacts(settings.artifacts, effective.name, "-")
    attempts = _attempts(artifacts, at)
    request = Request(
        batch_id=batch_id_of(at, len(attempts) + 1 if not attempts else attempts[-1][0] + 1),
        as_of=at,
        began_at=began_at,
        overrides=overrides or {},
        force=force,
        publish=publish,
        seed=effective.seed if seed is None else seed,
        champion=champion,
        input=inputs,
        code_version=code_version(),
        catalog=effective,
    )
    for _, earlier in reversed(attempts):
        pinned = earlier.load_json("begin", "request.json")
        if pinned["publish"] != publish:  # a look with --no-publish comes between no night and its rerun
            continue
        known = {_version(pinned["champion"])}
        if earlier.is_done("refit"):
            known.add(earlier.load_json("refit", "model.json")["champion_version"])
        if _version(champion) in known and request.asks_the_same_as(pinned):
            finished = earlier.is_done("report")
            return {"batch_id": earlier.batch_id, "resumed": not finished, "nothing_new": finished}
        break
    if publish and force is None:
        _must_not_be_late(settings, effective, request)
    night = artifacts.of_batch(request.batch_id)
    with night.writing("begin") as files:
        files.save_json("request.json", request.model_dump(mode="json"))
    return {"batch_id": request.batch_id, "resumed": False, "nothing_new": False}


def _version(champion: ChampionPin | dict[str, Any] | None) -> str | None:
    if champion is None:
        return None
    return champion.model_version if isinstance(champion, ChampionPin) else str(champion["model_version"])


def _champion(settings: Settings, catalog: Catalog) -> ChampionPin | None:
    with database(settings, catalog, "publisher").connect() as session:
        row = session.row("champion")
    return ChampionPin(**row) if row else None


def _must_not_be_late(settings: Settings, catalog: Catalog, request: Request) -> None:
    """A night that `publish` would refuse for being older than the live batch need not be computed."""
    with database(settings, catalog, "publisher").connect() as session:
        live = session.row("live_batch")
    if live and parse_batch_id(live["batch_id"]) > parse_batch_id(request.batch_id):
        raise Superseded(
            f"{request.batch_id} would be older than the live batch {live['batch_id']}: to look at a past date say "
            "--no-publish, to publish it all the same --force REASON"
        )


def _attempts(artifacts: Artifacts, at: datetime) -> list[tuple[int, Artifacts]]:
    """Earlier attempts at this as_of that got as far as a request, by attempt."""
    found = []
    for batch_id in artifacts.batch_ids():
        try:
            as_of, attempt = parse_batch_id(batch_id)
        except Misuse:
            continue
        night = artifacts.of_batch(batch_id)
        if as_of == at and night.is_done("begin"):
            found.append((attempt, night))
    return sorted(found, key=lambda pair: pair[0])


def _inputs(catalog: Catalog, settings: Settings) -> dict[str, Any]:
    import hashlib

    files = []
    for source in catalog.sources:
        files += sources.find(data_folder(settings), source.path or "", source.format)
    if catalog.items and catalog.items.is_given:
        files += sources.find(data_folder(settings), catalog.items.path or "", catalog.items.format)
    listed = [{"path": f.path, "bytes": f.n_bytes, "sha256": f.sha256} for f in files]
    digest = hashlib.sha256("\n".join(f.sha256 for f in files).encode()).hexdigest()
    return {"hash": digest, "files": listed}


def _after_newest(catalog: Catalog, settings: Settings, now: datetime) -> datetime:
    """The second after the newest interaction that is not in the future."""
    limit = int(now.timestamp() * 1_000_000)
    found = [_newest(source, settings, limit) for source in catalog.sources]
    if not any(n_read for n_read, _ in found):
        names = ", ".join(source.path or "" for source in catalog.sources)
        raise DataRefused(f"catalog {catalog.name}: no rows in {names}; see why the export wrote none")
    newest = max(newest for _, newest in found)
    if newest < EARLIEST:
        raise DataRefused(
            f"catalog {catalog.name}: no row of its sources has a readable time; see `columns.occurred_at` and `time`"
        )
    return datetime.fromtimestamp(newest // 1_000_000, UTC) + timedelta(seconds=1)


def _newest(source: Source, settings: Settings, limit: int) -> tuple[int, int]:
    """(rows read, the newest instant among them that is not after the limit, in microseconds; 0 for none)"""
    n_read, newest = 0, 0
    for file in sources.find(data_folder(settings), source.path or "", source.format):
        for rows in sources.read_rows(file, {"occurred_at": source.columns.occurred_at}, source.where):
            values: pa.Array = rows.columns["occurred_at"]
            at = as_microseconds(values, source.time.unit, source.time.timezone)
            n_read, newest = n_read + rows.n_read, max(newest, int(at[at <= limit].max(initial=0)))
    return n_read, newest
