"""Report on the night: one page, for the web app and MLflow."""

from typing import Any

from recjobs.night.decision import kept_batch, record
from recjobs.night.night import Night, database, let_alias_follow, registry
from recjobs.reports.night import night_page


def run(night: Night) -> dict[str, Any]:
    """Write report.html, self-contained and without script, and store it in Postgres and MLflow."""
    alias: dict[str, int] = {}
    refused: dict[str, Any] | None = None
    if night.request.publish:
        kept = kept_batch(night, "report")
        with database(night.catalog, "publisher").connect() as session:
            if kept:
                record(night, session)
            html = night_page(night, session.rows("worth_trend", view=night.catalog.view, batch=night.batch_id))
            session.call("record_report", batch=night.batch_id, page=html)
            champion = session.row("champion")
            refused = session.row("refused_in_a_row")
        if kept and champion:
            alias = let_alias_follow(night.catalog, champion)
    else:
        html = night_page(night)
    runs = registry(night.catalog)
    run_id = night.log(runs)
    runs.attach(run_id, "report.html", html)
    runs.finish(run_id)
    with night.writing("report") as files:
        files.save_text("report.html", html)
        files.save_json("report.json", {"mlflow_run": run_id})
    link = f"{night.settings.webapp_url}/reports/{night.catalog.name}/{night.batch_id}"
    return {
        "report": link if night.request.publish else night.files.where("report", "report.html"),
        "mlflow_run": run_id,
        **alias,
        **(refused or {}),
    }
