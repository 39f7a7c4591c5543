"""Results as tables to read in a terminal."""

from collections.abc import Iterator
from typing import Any


def of_comparison(result: dict[str, Any]) -> Iterator[str]:
    """What `recjobs compare` prints, line by line."""
    for side, name in result["names"].items():
        yield f"{side}: {name}  {_recipe(result['recipes'][side])}"
    yield ""
    yield f"{'NDCG@20':24}{'users':>7}{'a':>9}{'b':>9}{'30 days':>9}{'neighb.':>9}   b against a (95%)"
    for date in result["dates"]:
        for view, of in date["views"].items():
            yield _compared(f"{date['date']} {view}", str(of["users"]), of)
    for view, of in result["overall"].items():
        yield _compared(f"all dates, {view}", "", of)
    fit = {side: sum(date["seconds"][side] for date in result["dates"]) for side in result["names"]}
    yield ""
    yield f"decides: {result['view']}.  fit: a {fit['a']:.1f} s, b {fit['b']:.1f} s; in all {result['seconds']:.1f} s"
    yield f"MLflow run {result['mlflow_run']}"


def _compared(what: str, users: str, of: dict[str, Any]) -> str:
    from recjobs.core.lists.popularity import DEFAULT_WINDOW

    means = "".join(_number(of[name], 9, 4) for name in ("a", "b", DEFAULT_WINDOW, "neighbours"))
    bounds = [("no bound" if v is None else f"{v:+.1%}") for v in (of["difference"] or {}).values()]
    interval = f"{bounds[0]} ({bounds[1]} to {bounds[2]})" if bounds else "nobody asked"
    return f"{what:24}{users:>7}{means}   {interval}"


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"


def _recipe(recipe: dict[str, Any]) -> str:
    return "  ".join(f"{key}={value}" for key, value in recipe.items())


def of_evaluation(result: dict[str, Any]) -> Iterator[str]:
    """What `recjobs evaluate --train --test` prints, line by line."""
    yield f"{'':22}{'recall@20':>10}{'ndcg@20':>10}{'seconds':>9}"
    for name, of in result["models"].items():
        numbers = "".join(_number(of[metric], 10, 5) for metric in ("recall_at_20", "ndcg_at_20"))
        yield f"{name.replace('_', ' '):22}{numbers}{of['seconds']:9.1f}"
    yield ""
    yield from (f"{label:22}{value}" for label, value in _account(result))


def _account(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "recipe", _recipe(result["recipe"])
    if search := result["search"]:
        what = f"{search['trials']} trials, {search['given_up']} given up early, in {search['seconds']:.0f} s"
        yield "found by", f"{what}; held out: {search['held_out']}"
        values = (_number(search[name], 0, 5) for name in ("ndcg_at_20", "ndcg_at_20_of_the_first"))
        yield "ndcg@20 there", " from ".join(values)
    if stage := result["second_stage"]:
        first, second = (_number(stage[f"ndcg_{name}_stage"], 0, 5) for name in ("first", "second"))
        yield "second stage", stage["why_not"] or f"ndcg@20 {second}, and {first} without, on a part of train"
    for name, file in result["files"].items():
        counts = f"{file['interactions']:,} interactions, {file['users']:,} users, {file['items']:,} items"
        bad = ", ".join(f"{n:,} {reason}" for reason, n in file["bad"].items())
        merged = f"; {file['merged']:,} rows equal another" if file["merged"] else ""
        yield name, f"{counts} of {file['read']:,} rows{merged}{'; left out: ' + bad if bad else ''}"
    fallback = f", {n:,} of them not in train: popular items" if (n := result["users_without_train"]) else ""
    yield "asked", f"{result['users']:,} users{fallback}"
    if n := result["items_without_train"]:
        yield "cannot be found", f"{n:,} items that train does not have, in {result['pairs_without_train']:,} pairs"
    if n := result["pairs_in_both"]:
        yield "not counted", f"{n:,} pairs of test that train has as well"
    if result["lists"]:
        yield "lists", result["lists"]
    yield "in all", f"{result['seconds']:.1f} s, at most {result['peak_memory_gib']:.2f} GiB"


def of_check(result: dict[str, Any]) -> Iterator[str]:
    """What `recjobs check` prints, line by line."""
    counts = result["counts"]
    which = "of a sample (--all reads every row): " if result["is_sample"] else ""
    parts = " + ".join(f"{counts[name]:,} {name}" for name in ("excluded", "quarantined", "merged", "accepted"))
    yield f"{result['catalog']}: {which}{counts['read']:,} rows read = {parts}"
    if carried := counts["carried"]:
        yield f"and {carried:,} interactions of earlier nights"
    period = result["period"]
    times = f", {period['oldest']} to {period['newest']} UTC" if period else ""
    times += "" if result["has_times"] else ", no times"
    yield f"{counts['users']:,} users, {counts['items']:,} items{times}"
    yield from of_rows(result["rows"])
    for reason, examples in result["examples"].items():
        yield f"quarantined: {reason}, such as {', '.join(examples)}"
    for finding in result["findings"]:
        example = f": {finding['example']}" if finding["example"] else ""
        yield f"{finding['action']}: {finding['reason']}, {finding['n_rows']:,} rows{example}"
    yield from (f"{what}: {said}" for what, said in result["places"].items())
    yield from (f"fit: {said}" for said in result["fit"].values())
    if holdout := result["holdout"]:
        enough = f"{holdout['users']:,} users, {holdout['known_users']:,} of them known before it"
        yield f"holdout: {holdout['what']}, {enough}"
    compared = (
        f"compared with {n} earlier nights" if (n := result["earlier_nights"]) else "no earlier night to compare with"
    )
    if result["is_sample"]:
        compared = "of a sample volume, freshness, repetition and drift are not checked"
    yield f"a night {result['night']}; {compared}"


def of_plan(result: dict[str, Any]) -> Iterator[str]:
    """What `recjobs plan` prints, line by line."""
    size, free = result["size"], {key: result[key] for key in ("artifacts_free", "database_free")}
    rates = f"by the rates of {', '.join(result['nights'])}" if result["nights"] else "by measured rates"
    if result["speed"]:
        rates += f", times {result['speed']:.2f} for the speed of this machine"
    yield f"a night of {result['catalog']} as of {result['as_of']}, {rates}"
    counts = f"{size['interactions']:,} interactions, {size['users']:,} users, {size['items']:,} items"
    yield f"{size['rows']:,} rows, {counts}: {result['lists']:,} lists of {size['stored']}"
    yield ""
    yield f"{'step':10}{'seconds':>10}{'memory, MB':>12}{'files, MB':>12}"
    for step, of in result["steps"].items():
        yield f"{step:10}{of['seconds']:10,.1f}{_mb(of['peak_bytes']):>12}{_mb(of['disk_bytes']):>12}"
    yield f"{'in all':10}{result['seconds']:10,.1f}{_mb(result['peak_bytes']):>12}{_mb(result['artifact_bytes']):>12}"
    yield ""
    yield f"memory    {_mb(result['peak_bytes'])} MB of {_mb(result['memory'])} ({result['memory_is']})"
    for name, what in (("artifacts", "files"), ("database", "Postgres")):
        known = free[f"{name}_free"]
        of_it = "what is free is not known" if known is None else f"{_mb(known)} free"
        key = "artifact_bytes" if name == "artifacts" else "database_bytes"
        yield f"{what:10}{_mb(result[key])} MB, {of_it}"
    for of in result["spark"] or ():
        pays = (
            f"less than here from about {of['pays_from']:,} interactions on"
            if of["pays_from"]
            else "never less than here"
        )
        yield f"Spark     {of['machines']} machines like this one: {of['seconds']:,.1f} s; {pays}"


def _mb(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:,.0f}"


def of_rows(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Interactions as they were understood, a line each."""
    for row in rows:
        yield "  " + "  ".join(f"{name}={value}" for name, value in row.items())
