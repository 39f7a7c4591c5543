"""The `recjobs` command: a whole night, any step of it, or an operator's verb, without Airflow.

Exit codes: 0 done (a refused candidate too: a verdict is a result), 64 usage, 65 data, model or lists refused,
70 our defect, 75 try later, 78 bad configuration.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from recjobs import logs
from recjobs.cli import cli
from recjobs.errors import BadConfiguration, RecjobsError, of_the_machine


def main() -> None:
    """Run the command line; every failure is one message on stderr and one exit code.

    What it writes says what customers bought, so only the user who runs it may read the files.
    """
    os.umask(0o077)
    if not {"-h", "--help", "--version"} & set(sys.argv[1:]):  # they log nothing, and settings take a while to import
        _configure_logs()
    sys.exit(_exit_code(_run_and_flush))


def _run_and_flush() -> None:
    try:
        cli(standalone_mode=False)
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:  # else Python tries once more at its end, and exits with 120
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _configure_logs() -> None:
    from recjobs.config import load_settings, secrets_of

    with suppress(BadConfiguration):  # the command says which setting is wrong
        settings = load_settings()
        (logs.configure if settings.log == "json" else logs.hide)(secrets_of(settings))


def _exit_code(command: Callable[[], Any]) -> int:
    try:
        command()
    except click.UsageError as error:
        error.show()
        return 64
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; the same command goes on where this one stopped")
        return 130
    except RecjobsError as error:
        _say(str(error), error, error.exit_code)
        return error.exit_code
    except Exception as error:
        if (named := of_the_machine(error)) is not None:
            _say(str(named), error, named.exit_code)
            return named.exit_code
        at = traceback.extract_tb(error.__traceback__)[-1]
        defect = f"{type(error).__name__}: {error} ({at.filename}:{at.lineno})"
        _say(f"a defect of ours: {defect}. Please report this line", error, 70)
        return 70
    return 0


def _say(message: str, error: Exception | None = None, exit_code: int = 130) -> None:
    """Write the one message of a failure, without secrets: a line on stderr, or a line of the log."""
    from recjobs.config import without_secrets

    if logs.is_json():
        members = {**getattr(error, "log_ids", {}), "exit_code": exit_code}
        logging.getLogger("recjobs").error("%s", message, extra={"members": members})
    else:
        with suppress(OSError):  # of a full disk; the exit code says it as well
            click.echo(f"recjobs: {without_secrets(message)}", err=True)


if __name__ == "__main__":
    main()
