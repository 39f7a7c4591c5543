"""The `recjobs` command: a whole night, any step of it, or an operator's verb, without Airflow.

Exit codes: 0 done (a refused candidate too: a verdict is a result), 64 usage, 65 data, model or lists refused,
70 our defect, 75 try later, 78 bad configuration.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from recjobs.cli import cli
from recjobs.errors import RecjobsError, TryLater

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main() -> None:
    """Run the command line; every failure is one message on stderr and one exit code.

    What it writes says what customers bought, so only the user who runs it may read the files.
    """
    os.umask(0o077)
    sys.exit(_exit_code(lambda: cli(standalone_mode=False)))


def _exit_code(command: Callable[[], Any]) -> int:
    try:
        command()
    except click.UsageError as error:
        error.show()
        return 64
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("recjobs: interrupted; the same command goes on where this one stopped", err=True)
        return 130
    except RecjobsError as error:
        click.echo(f"recjobs: {error}", err=True)
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            click.echo(f"recjobs: a disk is full ({error}); make room and run the same command again", err=True)
            return TryLater.exit_code
        at = traceback.extract_tb(error.__traceback__)[-1]
        defect = f"{type(error).__name__}: {error} ({at.filename}:{at.lineno})"
        click.echo(f"recjobs: a defect of ours: {defect}. Please report this line", err=True)
        return 70
    return 0


if __name__ == "__main__":
    main()
