"""
# The night of one catalog

Turns the catalog's interactions into finished recommendation lists and publishes them. Every catalog file gives one
such DAG, `nightly_<catalog>`; it starts by itself if the file has a `schedule`, and whenever somebody triggers it.

    begin > extract > validate > split > train > evaluate > gate > refit > score > inspect > publish > report

**Until `publish` has ended, the lists that were live stay live.** A night that fails or is killed harms no reader.

States of the tasks, and what to do:

- **`search` runs before `begin`**, in catalogs whose file names no hyperparameters: as long as no model is in charge,
  it looks for a recipe, which the night trains (`tune.first_night_minutes`). Marked as failed or as a success, it ends,
  and the night begins with the file's recipe. Cleared, it goes on where it was.
- **`begin` is skipped, and all after it:** nothing is new, so do nothing. In a catalog that starts when an asset is
  updated this is also the deadline's run: its log says whether the input had come; if not, see to the upstream DAG.
- **`extract` or `validate` is skipped, and all after it:** the input is late or stale. The next night includes it.
- **A task waits for its retry:** Postgres, the object store or MLflow is away, or another night is publishing. Wait.
- **A task failed:** its log ends with the reason, and says what to *clear* once the cause is gone. The task, where a
  system was away: the night continues there. The whole run, where the night was refused (exit code 65: data or lists;
  78: a setting; 70: a defect) or overtaken: it begins again, since input, catalog file and champion are those of its
  beginning. A run whose night is finished is skipped when it is cleared.
- **`publish` takes long:** another night, such as a backfill's, or a roll-back changed the model in charge meanwhile.
  The night began again against that, all steps within this task; its log names the new batch.
- **A backfill** makes a night as of each of its dates, also of a catalog that is not `live`. A night that is older than
  the live batch fails, unless the form gives a reason to publish it.
- **`gate` succeeded with the result `refused`:** the candidate was no better, so the champion's recipe made the lists.
  The task links to the report. With `gate.on_refused: keep`, `refit` to `publish` are skipped and the lists stay.
- **`ask_a_person` waits** (with `gate.approval: required`): the verdict is inconclusive. *Required Actions* shows the
  comparison; choose, and give a reason. Without an answer in time the champion stays, and the night continues.

**Trigger** opens a form: a date to look back from, hyperparameters for this night only, and a reason to publish despite
a refusal. By REST it is `POST /api/v2/dags/nightly_<catalog>/dagRuns` with `{"logical_date": null, "conf": {"factors":
32}}`.

**Take a batch back:** the DAG `roll_back`. **A night by hand, without Airflow:** `recjobs night --catalog <catalog>`.

The result of `begin` is the batch id. The events of the asset `<catalog>_lists` have it in their `extra`, so that a DAG
scheduled on the asset starts when new lists are live.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, Param, chain, dag
from night_approval import approval_tasks
from night_tasks import AS_OF, DAG, INSIDE, OUTSIDE, begin, cron, search, step

from recjobs.catalog.file import Catalog
from recjobs.catalog.files import read_catalogs

AFTER_BEGIN = "{{ ti.xcom_pull(task_ids='begin') }}"
"""The batch id for a task that does not follow `begin` directly."""


def form(catalog: Catalog) -> dict[str, Param]:
    """Return the parameters of one night; without values it is an ordinary night."""

    def override(kind: str, usual: float | None, meaning: str, **bounds: float) -> Param:
        description = f"{meaning} Empty: {'none' if usual is None else usual}, as in the catalog file."
        return Param(None, type=["null", kind], description=description, **bounds)

    model = catalog.model
    return {
        "as_of": AS_OF,
        "factors": override(
            "integer", model.factors, "Numbers that describe a user or an item.", minimum=1, maximum=1024
        ),
        "alpha": override("number", model.alpha, "How much one interaction weighs against none.", exclusiveMinimum=0),
        "regularization": override("number", model.regularization, "Pulls all numbers towards 0.", exclusiveMinimum=0),
        "iterations": override("integer", model.iterations, "Rounds of training.", minimum=1, maximum=200),
        "half_life_days": override(
            "number", catalog.recency.half_life_days, "An interaction this old counts half.", exclusiveMinimum=0
        ),
        "force": Param(
            None,
            type=["null", "string"],
            minLength=3,
            title="publish in spite of a refusal, because",
            description="The reason is stored in the publish log. Empty: refusals stand.",
        ),
    }


def nightly(catalog: Catalog) -> None:
    """Make the DAG of one catalog."""
    from recjobs.catalog.tune import searches_first

    schedule: Any = None
    if at := catalog.schedule.cron or catalog.schedule.deadline:
        schedule = cron(at, catalog.schedule.timezone)
    if catalog.schedule.asset:
        schedule = AssetOrTimeSchedule(timetable=schedule, assets=[Asset(catalog.schedule.asset)])

    @dag(
        dag_id=f"nightly_{catalog.name}",
        description=catalog.description,
        doc_md=__doc__,
        schedule=schedule,
        dagrun_timeout=timedelta(hours=20),
        params=form(catalog),
        tags=["recjobs", catalog.name],
        **DAG,
    )
    def night() -> None:
        name = catalog.name
        lists = Asset(f"{name}_lists", f"recjobs://{name}/lists")
        searches = searches_first(catalog)
        batch_id = begin(name, list(form(catalog)), after_search=searches)
        if searches:
            chain(search(name), batch_id)
        gate = step("gate", name, batch_id, hours=1, **INSIDE)
        needs_approval = catalog.gate.approval == "required"
        approval = approval_tasks(name, batch_id, catalog.gate.approval_hours) if needs_approval else []
        keeps = catalog.gate.on_refused == "keep"
        # With `keep`, a refusal skips the tasks between gate and report. Then report must not depend on begin, which
        # also succeeds in nights that are skipped from extract on.
        after: Any = {"trigger_rule": "none_failed_min_one_success"} if keeps else {}
        report = step("report", name, AFTER_BEGIN if keeps else batch_id, hours=1, **OUTSIDE, **after)
        if keeps:
            chain(gate, report)
        chain(
            step("extract", name, batch_id, hours=1, **OUTSIDE),
            step("validate", name, batch_id, hours=1, **INSIDE),
            step("split", name, batch_id, hours=1, **INSIDE),
            step("train", name, batch_id, hours=4, **INSIDE),
            step("evaluate", name, batch_id, hours=2, **INSIDE),
            gate,
            *approval,
            step("refit", name, batch_id, hours=4, **OUTSIDE),
            step("score", name, batch_id, hours=4, **INSIDE),
            step("inspect", name, batch_id, hours=1, **OUTSIDE),
            step("publish", name, batch_id, hours=8, outlets=[lists], **OUTSIDE),
            report,
        )

    night()


# A file that cannot be read is the import error of catalog_files.py; the other catalogs keep their nights.
for each in read_catalogs()[0].values():
    nightly(each)
