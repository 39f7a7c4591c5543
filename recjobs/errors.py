"""The tree of expected errors. A class determines the exit code, whether a retry may help, and how the step ends.

    RecjobsError
    ├── Misuse            64   the command line, or a call, is wrong
    ├── Refused           65   the data, a file or the lists do not pass a check
    │   ├── DataRefused        ... the input
    │   │   └── ColumnRefused   ... one column of it
    │   ├── ModelRefused       ... a model or artifact that is missing, damaged or not the one that was registered
    │   │   └── ModelUnreadable ... the file that was written, but not a model: for a candidate it becomes a `Verdict`
    │   └── ListsRefused       ... the output
    ├── Defect            70   this program is wrong
    ├── TryLater          75   the failure is temporary
    │   ├── SystemAway         ... Postgres, MLflow or the object store does not answer (a retry may help)
    │   ├── Locked             ... another night of this catalog is publishing (a retry may help)
    │   ├── DiskFull           ... a disk is full, or nearly: Postgres', or the artifacts' (a retry may help)
    │   ├── MemoryShort        ... the machine, or the limit of the process, has too little memory (a retry may help)
    │   ├── Superseded         ... a newer batch or another champion has taken over
    │   └── InputLate          ... the input is late or stale (Airflow state: skipped)
    └── BadConfiguration  78   a setting or catalog file is wrong, or the machine is too small for the night

A refused candidate is not here: it is a `Verdict`, a result of the night.
"""

import errno
import re

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LIBRARY_UNMAPPED = re.compile("failed to map segment from shared object|cannot allocate memory", re.IGNORECASE)
"""What the loader says of a library that finds no room in memory. One that it may not run (`noexec`) never gets so far:
those that every command needs lie beside it."""

_NO_THREAD = "can't start new thread"
"""Python's: there is no room for the thread's stack, or the process may have no more of them."""
_TEXT_UNWRAPPED = re.compile("^Unknown error: Wrapping [^\ufffd]* failed$", re.DOTALL)
"""What Arrow says when Python has no room for one of its texts. It says the same of a text that is not UTF-8, which it
quotes with U+FFFD."""


class RecjobsError(Exception):
    """Base of every expected error. The message names the value, the location and the fix."""

    exit_code = 70
    retry = False
    outcome = "failed"
    """How a step that raises it ends: the metric that counts it, and the status on the page of nights."""


class Misuse(RecjobsError):
    """The command line, or a call, is wrong."""

    exit_code = 64


class Refused(RecjobsError):
    """Data, a file or the lists do not pass a check; a retry does not help."""

    exit_code = 65
    outcome = "refused"


class DataRefused(Refused):
    """The input is missing, damaged or not what the catalog says."""


class ColumnRefused(DataRefused):
    """A column has wrong values. `column` is its name, which a caller may replace by the source's."""

    def __init__(self, why: str, column: str | None = None) -> None:
        super().__init__(why)
        self.column = column

    def __str__(self) -> str:
        why = super().__str__()
        return f"column {self.column!r} {why}" if self.column else why


class ModelRefused(Refused):
    """A model or artifact is missing, damaged, or not the one that was registered."""


class ModelUnreadable(ModelRefused):
    """A file has the hash of its manifest, but is not a model."""


class ListsRefused(Refused):
    """The finished lists break the output contract."""


class Defect(RecjobsError):
    """This program is wrong."""


class TryLater(RecjobsError):
    """The failure is temporary."""

    exit_code = 75
    outcome = "waiting"


class SystemAway(TryLater):
    """Postgres, MLflow or the object store does not answer."""

    retry = True


class Locked(TryLater):
    """Another night of this catalog is publishing."""

    retry = True


class DiskFull(TryLater):
    """A disk is full, or has too little left for what is to be loaded or written."""

    retry = True


class MemoryShort(TryLater):
    """The machine, or the limit of the process, has too little memory; more may be free later."""

    retry = True


class Superseded(TryLater):
    """A newer batch or another champion has taken over."""


class InputLate(TryLater):
    """The input is late or stale."""

    outcome = "skipped"


class BadConfiguration(RecjobsError):
    """A setting or a catalog file is wrong."""

    exit_code = 78


def of_the_machine(error: Exception) -> RecjobsError | None:
    """What an error says of the machine: that a disk is full or memory is short; None for any other."""
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return DiskFull(f"a disk is full ({error}); make room and run the same command again")
    if _is_of_memory(error):
        reason = " ".join(str(error).split()) or type(error).__name__
        return MemoryShort(
            f"memory is short ({reason}); give the process more, or run less beside it, and run the same command again"
        )
    return None


def _is_of_memory(error: Exception) -> bool:
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, ImportError) and bool(_LIBRARY_UNMAPPED.search(text)))
        or (isinstance(error, RuntimeError) and text == _NO_THREAD)
        or (type(error).__name__ == "ArrowException" and bool(_TEXT_UNWRAPPED.search(text)))
    )
