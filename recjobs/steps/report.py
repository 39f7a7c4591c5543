"""Write one page about the night: the data, the metrics against baselines, the verdict, examples of lists."""

from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from recjobs.adapters import plots
from recjobs.catalog import Catalog
from recjobs.core.bands import BANDS
from recjobs.core.interactions import Interactions
from recjobs.night import Night

N_EXAMPLES = 12
_NAMES = {
    "neighbours": "item neighbours",
    "popularity_30d": "popular, last 30 days",
    "popularity_all": "popular, all time",
}


def run(catalog: Catalog, batch_id: str) -> dict[str, Any]:
    """Write report.html, self-contained and without script, and hand it to the web app and to MLflow."""
    night = Night.open(catalog, batch_id)
    page = _page(night)
    if night.request.publish:
        with night.database("publisher").connect() as session:
            session.rows("record_report", batch_id=batch_id, html=page)
    registry = night.registry()
    run_id = night.mlflow_run(registry)
    registry.attach(run_id, "report.html", page)
    registry.finish(run_id)
    with night.artifacts.writing("report") as files:
        files.save_text("report.html", page)
        files.save_json("report.json", {"mlflow_run": run_id})
    link = f"{night.settings.webapp_url}/reports/{night.catalog.name}/{batch_id}"
    return {
        "report": link if night.request.publish else night.artifacts.where("report", "report.html"),
        "mlflow_run": run_id,
    }


def _page(night: Night) -> str:
    metrics = night.artifacts.load_json("evaluate", "evaluation.json")
    published = night.request.publish
    chosen = night.artifacts.load_json("refit", "model.json") if published else None
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        night=night,
        request=night.request,
        catalog=night.catalog,
        view=night.view,
        cutoff=night.cutoff(),
        train=night.artifacts.load_json("train", "train.json"),
        data=night.artifacts.load_json("validate", "findings.json"),
        verdict=night.artifacts.load_json("gate", "verdict.json"),
        chosen=chosen,
        holdout_users=metrics["users"],
        metrics=_by_model(metrics["metrics"]),
        names=_NAMES,
        percent=_percent,
        bands=BANDS,
        inspection=night.artifacts.load_json("inspect", "inspection.json") if published else None,
        examples=_examples(night) if published else [],
        weeks=_weeks(night),
        drift=_drift(night),
        bars={view: _bars(metrics["metrics"], view) for view in metrics["users"] if metrics["users"][view]},
    )


def _percent(share: float | None) -> str:
    """A relative difference; without bound where the baseline found nothing."""
    return "no bound" if share is None else f"{100 * share:+.1f}%"


def _by_model(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """view -> model -> {segment.metric: row}"""
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        result.setdefault(row["view"], {}).setdefault(row["model"], {})[f"{row['segment']}.{row['metric']}"] = row
    return result


def _drift(night: Night) -> dict[str, Any]:
    found = night.artifacts.load_json("validate", "drift.json")
    allowed = night.catalog.limits.drift
    features = [
        {
            **moved,
            "allowed": getattr(allowed, moved["feature"]),
            "plot": plots.before_and_now(moved["bins"], moved["feature"].replace("_", " ")) if moved["bins"] else "",
        }
        for moved in found["features"]
    ]
    return {"compared_with": found["compared_with"], "features": features}


def _weeks(night: Night) -> str:
    at = Interactions.from_table(night.artifacts.load_table("validate", "interactions.parquet")).occurred_at
    days = at.view("datetime64[us]").astype("datetime64[D]").astype(np.int64)
    monday = days - (days + 3) % 7  # 1970-01-01 was a Thursday
    weeks, counts = np.unique(monday, return_counts=True)
    return plots.interactions_by_week(weeks.astype("datetime64[D]"), counts, night.cutoff().at)


def _bars(rows: list[dict[str, Any]], view: str) -> str:
    found = [r for r in rows if (r["view"], r["segment"], r["metric"]) == (view, "all", "ndcg_at_20")]
    return plots.metric_bars(
        [_NAMES.get(r["model"], r["model"]) for r in found],
        [r["value"] for r in found],
        [r["low"] for r in found],
        [r["high"] for r in found],
        "NDCG@20, with its 95% interval",
    )


def _examples(night: Night) -> list[dict[str, Any]]:
    """What some users took lately and what they are shown; the users are drawn by the night's seed."""
    items = night.artifacts.load_table("score", "items.parquet", ["item_id", "title"]).to_pydict()
    title = {i: t or i for i, t in zip(items["item_id"], items["title"], strict=True)}
    lists = night.artifacts.load_table("score", "top_n-00000.parquet", ["user_id", "item_ids", "source"])
    history = night.artifacts.load_table("score", "history.parquet")
    rng = np.random.default_rng(night.request.seed)
    rows = np.sort(rng.choice(lists.num_rows, min(N_EXAMPLES, lists.num_rows), replace=False))
    return [
        {
            "user_id": lists["user_id"][row].as_py(),
            "source": lists["source"][row].as_py(),
            "took": [title[i] for i in history["item_ids"][row].as_py()[:8]],
            "shown": [title[i] for i in lists["item_ids"][row].as_py()[:8]],
        }
        for row in rows.tolist()
    ]
