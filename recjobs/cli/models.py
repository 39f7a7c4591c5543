"""The verbs about models: evaluate, compare and search for recipes."""

import json
from typing import Any

import click

from recjobs.cli.options import (
    Duration,
    as_of_option,
    catalog_option,
    json_option,
    known_catalog,
    load_catalog,
    overrides_of,
    set_option,
    show,
)
from recjobs.cli.tables import of_comparison, of_evaluation
from recjobs.errors import Misuse


@click.command(epilog="Example: recjobs evaluate --train train.parquet --test test.parquet --tune 15m")
@click.option("--catalog", "catalog_name", metavar="C", help="For a step of a night: name of a file in catalogs/.")
@click.option("--batch-id", metavar="B", help="For a step of a night: the batch.")
@click.option("--train", metavar="F", help="Parquet or CSV with user_id, item_id and optionally occurred_at, weight.")
@click.option("--test", metavar="F", help="Parquet or CSV with user_id, item_id: the relevant items.")
@click.option("--tune", type=Duration(), metavar="T", help="Search for a recipe in train first, for T such as 15m.")
@click.option("--lists", metavar="OUT", help="Write user_id, rank, item_id, score of every test user as Parquet.")
@set_option
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", help="Another seed.")
@json_option
def evaluate(
    catalog_name: str | None, batch_id: str | None, settings: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Measure candidate, champion and baselines on the holdout; or a recipe on two files.

    With --train and --test no catalog, platform, database or MLflow is needed.
    """
    files = options["train"], options["test"]
    of_files = [f"--{name}" for name, value in (options | {"set": settings or None}).items() if value is not None]
    if any(files):
        if catalog_name or batch_id:
            raise Misuse(f"{' and '.join(of_files)}: a file belongs to no catalog; leave --catalog and --batch-id out")
        if not all(files):
            raise Misuse(f"{of_files[0]} alone: --train says what to learn from, --test what is to be found")
        from recjobs.cli.progress import run_evaluation

        result = run_evaluation(overrides=overrides_of(settings), **options)
        click.echo(json.dumps(result) if as_json else "\n".join(of_evaluation(result)))
        return
    if not (catalog_name and batch_id):
        raise Misuse("say --catalog and --batch-id for a step of a night, or --train and --test for two files")
    if of_files:
        raise Misuse(f"{', '.join(of_files)}: belongs to --train and --test; a night's step is asked as it began")
    from recjobs.night.runner import run_step

    show(run_step("evaluate", known_catalog(catalog_name), batch_id), as_json)


@click.command(
    epilog="Example: recjobs compare catalog factors=128,alpha=5 --catalog online_retail --as-of 2011-03-01,2011-07-01"
)
@click.argument("recipe_a")
@click.argument("recipe_b")
@catalog_option
@click.option("--as-of", "dates", required=True, metavar="D1,D2,...", help="Dates, each as in `recjobs night --as-of`.")
@json_option
def compare(recipe_a: str, recipe_b: str, catalog_name: str, dates: str, as_json: bool) -> None:
    """Fit two recipes on the data before each date, and measure them on what came afterwards.

    A recipe is `catalog`, `champion`, `challenger`, a YAML or JSON file with keys of `model` and `recency`, or such
    keys as factors=128,alpha=5; other keys are the catalog's. Publishes nothing; leaves MLflow runs.
    """
    from recjobs.cli.progress import run_comparison

    as_of = list(dict.fromkeys(date.strip() for date in dates.split(",") if date.strip()))
    if not as_of:
        raise Misuse("--as-of: say at least one date, such as 2011-03-01,2011-07-01")
    result = run_comparison(load_catalog(catalog_name), (recipe_a, recipe_b), as_of)
    click.echo(json.dumps(result) if as_json else "\n".join(of_comparison(result)))


@click.command(epilog="Example: recjobs tune --catalog online_retail --timeout 30m")
@catalog_option
@as_of_option
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="End after N trials.")
@click.option(
    "--timeout", type=Duration(), default="15m", show_default=True, metavar="T", help="End after T, such as 90s or 2h."
)
@click.option("--no-publish", is_flag=True, help="Compare with no champion and leave no challenger.")
@json_option
def tune(
    catalog_name: str, as_of: str | None, trials: int | None, timeout: float, no_publish: bool, as_json: bool
) -> None:
    """Search for a better recipe, or resume a search. The next night trains the best."""
    from recjobs.cli.progress import run_study

    catalog = load_catalog(catalog_name)
    result = run_study(catalog, as_of=as_of, n_trials=trials, seconds=timeout, publish=not no_publish)
    if as_json:
        click.echo(json.dumps(result))
