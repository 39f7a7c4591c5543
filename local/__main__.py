"""`python -m local`: what the Makefile's demo, up, down, mlflow and airflow do."""

import os
import subprocess
import sys

import click
from rich.console import Console

from local import password, stack
from local.errors import LocalError
from recjobs.config import load_settings
from recjobs.errors import RecjobsError

console = Console(highlight=False, soft_wrap=True)


@click.group()
def main() -> None:
    """Run the whole product on this machine."""


@main.command()
def up() -> None:
    """Start the services that are not running."""
    settings = stack.up(_say("starting"))
    console.print(
        f"\n  page     {settings.webapp_url}\n  Airflow  http://127.0.0.1:{settings.airflow_port}\n"
        f"  sign in  {password.where(settings)}\n"
    )


@main.command()
def down() -> None:
    """Stop all services."""
    stack.down(_say("stopping"))
    console.print("nothing of the platform runs any more")


@main.command()
@click.option("--catalog", help="Catalog to run; default: online_retail if its file is there, else sample.")
@click.option("--since", type=float, help="When `make` began (seconds since 1970).")
def demo(catalog: str | None, since: float | None) -> None:
    """Start everything, run a night through Airflow, show what was published."""
    from local.demo import run

    run(console, catalog, since)


@main.command()
def mlflow() -> None:
    """Open MLflow's UI on the store that the nights write to."""
    url = stack.open_mlflow(_say("starting"))
    console.print(f"\n  MLflow   {url}\n  sign in  {password.where(load_settings())}\n")


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def airflow(arguments: tuple[str, ...]) -> None:
    """Run Airflow's own command line on the local platform, as in `airflow dags list`."""
    from local.airflow import PROGRAM, environment
    from local.databases import open_databases

    settings = load_settings()
    environ = environment(settings, open_databases(settings)[0])
    done = subprocess.run([*PROGRAM, *arguments], env=environ)  # noqa: S603 - the user's own command line
    sys.exit(done.returncode)


def _say(verb: str) -> stack.Say:
    return lambda what: console.print(f"{verb} {what} ...")


def run() -> None:
    """Run the command line; an expected failure is one message and an exit code."""
    os.umask(0o077)
    try:
        main(prog_name="python -m local")
    except (LocalError, RecjobsError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    run()
