"""What takes long, in one process, with its progress on stderr: a night, a comparison, an evaluation of files."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recjobs import LISTS, NIGHT
from recjobs.catalog.file import Catalog
from recjobs.night.runner import begin_night, run_step


def run_night(
    catalog: Catalog, *, as_of: str | None, overrides: dict[str, Any], force: str | None, publish: bool
) -> dict[str, Any]:
    """Begin, then every step that an earlier try has not finished. Returns what each step returned."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    began = begin_night(catalog, as_of=as_of, overrides=overrides, force=force, publish=publish)
    batch_id = str(began["batch_id"])
    if began["nothing_new"]:
        console.print(f"nothing new: {batch_id} was made of the same input, request and code, and is finished")
        return {**began, "catalog": catalog.name, "steps": {}}
    console.print(f"{'resuming' if began['resumed'] else 'night'} {batch_id} of {catalog.name}")
    results: dict[str, Any] = {}
    steps = [step for step in NIGHT if publish or step not in LISTS]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        for step in steps:
            if _is_done(catalog, batch_id, step):
                console.print(f"  [dim]{step:9}        done before[/dim]")
                continue
            task = progress.add_task(step, total=None)
            since = time.monotonic()
            result = run_step(step, catalog, batch_id)
            progress.remove_task(task)
            if kept := result.get("kept"):
                console.print(f"  [dim]{step:9}        left out: the candidate was refused, {kept} stays live[/dim]")
                continue
            results[step] = result
            numbers = "  ".join(f"{k}={v}" for k, v in result.items())
            console.print(f"  [green]{step:9}[/green] {time.monotonic() - since:6.1f} s  [dim]{numbers}[/dim]")
            if step == "gate" and publish:
                _say_how_to_approve(console, catalog, batch_id)
    return {**began, "catalog": catalog.name, "steps": results}


def _is_done(catalog: Catalog, batch_id: str, step: str) -> bool:
    from recjobs.night.night import Night

    return Night.open(catalog, batch_id).is_done(step)


def run_comparison(catalog: Catalog, said: Sequence[str], dates: Sequence[str]) -> dict[str, Any]:
    """What `recjobs.operations.compare.run` returns; of each date the night is split first, unless it was before."""
    from recjobs.operations import compare

    asked = compare.recipes(catalog, said)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with _shown(console) as progress:
        task = progress.add_task("", total=len(dates))

        def split() -> Iterator[tuple[str, str]]:
            for number, date in enumerate(dates):
                began = begin_night(catalog, as_of=date, overrides={}, force=None, publish=False)
                batch_id = str(began["batch_id"])
                for step in NIGHT[: NIGHT.index("split") + 1]:
                    progress.update(task, description=f"{date}: {step}", completed=number)
                    if not _is_done(catalog, batch_id, step):
                        run_step(step, catalog, batch_id)
                progress.update(task, description=f"{date}: fit and ask")
                yield date, batch_id

        return compare.run(catalog, said, asked, split())


def run_evaluation(**asked: Any) -> dict[str, Any]:
    """What `recjobs.operations.evaluate_files.run` returns, with a bar of how far it is."""
    from recjobs.operations import evaluate_files

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with _shown(console) as progress:
        task = progress.add_task("", total=None)

        def say(what: str, share: float | None) -> None:
            progress.update(task, description=what, total=None if share is None else 1, completed=share)
            if progress.disable:
                console.print(what)

        return evaluate_files.run(**asked, say=say)


def _shown(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())


def _say_how_to_approve(console: Console, catalog: Catalog, batch_id: str) -> None:
    from recjobs.night.decision import asks
    from recjobs.night.night import Night

    if asks(Night.open(catalog, batch_id)):
        console.print(
            f"the gate cannot tell, so the champion stays. To put the candidate in charge: recjobs approve --catalog "
            f"{catalog.name} --batch-id {batch_id} --reason R, then the same night again"
        )
